//! Events as the body of an answer that does not end: a line of JSON each.

use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use hyper::body::{Body, Bytes, Frame};
use serde::Serialize;
use tokio::sync::mpsc;

/// Events that go into one piece of the answer, at most.
const EVENTS_A_PIECE: usize = 256;

/// The body. Dropping it, as the server does when the client goes away, ends the subscription.
#[derive(Debug)]
pub(super) struct EventBody<E> {
    events: mpsc::Receiver<E>,
    piece: Vec<E>,
}

impl<E> EventBody<E> {
    pub(super) fn new(events: mpsc::Receiver<E>) -> Self {
        Self { events, piece: Vec::with_capacity(EVENTS_A_PIECE) }
    }
}

impl<E: Serialize + Unpin> Body for EventBody<E> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { events, piece } = &mut *self;
        let count = ready!(events.poll_recv_many(context, piece, EVENTS_A_PIECE));
        if count == 0 {
            return Poll::Ready(None);
        }
        let mut lines = Vec::new();
        for event in piece.drain(..) {
            // Events hold nothing that JSON cannot say.
            if serde_json::to_writer(&mut lines, &event).is_ok() {
                lines.push(b'\n');
            }
        }
        Poll::Ready(Some(Ok(Frame::data(lines.into()))))
    }
}
