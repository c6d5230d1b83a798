//! The types of H.245, as far as they stand before or around the addresses of logical channels.

use super::per::{Choice, MAY, MUST, Mark, Sequence, Size, Type};

const OCTETS: Type = Type::Octets(Size::Any);

/// A sequence that may be extended, by nothing that is wanted.
macro_rules! open_sequence {
    ($($element:expr),* $(,)?) => {
        Type::Sequence(&Sequence { root: &[$($element),*], extensions: Some(&[]) })
    };
}

/// A sequence that is never extended.
macro_rules! closed_sequence {
    ($($element:expr),* $(,)?) => {
        Type::Sequence(&Sequence { root: &[$($element),*], extensions: None })
    };
}

/// A choice that may be extended, by nothing that is wanted.
macro_rules! open_choice {
    ($bits:expr; $($alternative:expr),* $(,)?) => {
        Type::Choice(&Choice { mark: None, bits: $bits, root: &[$($alternative),*], extensions: Some(&[]) })
    };
}

/// A choice that is never extended.
macro_rules! closed_choice {
    ($bits:expr; $($alternative:expr),* $(,)?) => {
        Type::Choice(&Choice { mark: None, bits: $bits, root: &[$($alternative),*], extensions: None })
    };
}

pub(super) use {closed_sequence, open_choice, open_sequence};

const BOOL: (bool, Type) = (MUST, Type::Bits(1));

const NON_STANDARD: Type = closed_sequence!(
    (
        MUST,
        closed_choice!(1; Type::ObjectId, closed_sequence!((MUST, Type::Octet), (MUST, Type::Octet), (MUST, Type::Word)))
    ),
    (MUST, OCTETS),
);

/// TransportAddress: that of one host, or of a group; of a group none is wanted.
const ADDRESS: Type = open_choice!(1;
    open_choice!(3;
        open_sequence!((MUST, Type::Socket(4))),
        open_sequence!((MUST, Type::Octets(Size::Fixed(6))), (MUST, Type::Octets(Size::Fixed(4))), (MUST, Type::Octets(Size::Fixed(2)))),
        open_sequence!((MUST, Type::Socket(16))),
        Type::Octets(Size::Fixed(16)),
        open_sequence!(
            (MUST, closed_choice!(1; Type::Null, Type::Null)),
            (MUST, Type::Octets(Size::Fixed(4))),
            (MUST, Type::Word),
            (MUST, Type::Many(&Type::Octets(Size::Fixed(4)))),
        ),
    ),
    open_choice!(1;
        open_sequence!((MUST, Type::Octets(Size::Fixed(4))), (MUST, Type::Word)),
        open_sequence!((MUST, Type::Octets(Size::Fixed(16))), (MUST, Type::Word)),
    ),
);

const H261: Type = open_sequence!((MAY, Type::Bits(2)), (MAY, Type::Bits(2)), BOOL, (MUST, Type::Word), BOOL);
const H262: Type = open_sequence!(
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    (MAY, Type::Long(None)),
    (MAY, Type::Long(None)),
    (MAY, Type::Word),
    (MAY, Type::Word),
    (MAY, Type::Bits(4)),
    (MAY, Type::Long(None)),
);
const H263: Type = open_sequence!(
    (MAY, Type::Bits(5)),
    (MAY, Type::Bits(5)),
    (MAY, Type::Bits(5)),
    (MAY, Type::Bits(5)),
    (MAY, Type::Bits(5)),
    (MUST, Type::Long(None)),
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    (MAY, Type::Long(None)),
    (MAY, Type::Word),
);
const IS11172_VIDEO: Type = open_sequence!(
    BOOL,
    (MAY, Type::Long(None)),
    (MAY, Type::Long(None)),
    (MAY, Type::Word),
    (MAY, Type::Word),
    (MAY, Type::Bits(4)),
    (MAY, Type::Long(None)),
);
const VIDEO: Type = open_choice!(3; Type::Stop, H261, H262, H263, IS11172_VIDEO);

/// Frames in a packet, from 1 to 256.
const FRAMES: Type = Type::Octet;
const IS11172_AUDIO: Type =
    open_sequence!(BOOL, BOOL, BOOL, BOOL, BOOL, BOOL, BOOL, BOOL, (MUST, Type::Word));
const IS13818_AUDIO: Type = open_sequence!(
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    BOOL,
    (MUST, Type::Word),
);
const AUDIO: Type = open_choice!(4;
    Type::Stop, FRAMES, FRAMES, FRAMES, FRAMES, FRAMES, FRAMES, FRAMES,
    closed_sequence!((MUST, FRAMES), BOOL), FRAMES, FRAMES, FRAMES, IS11172_AUDIO, IS13818_AUDIO,
);

/// What carries data: T.120 over a stack of its own has the number [`SEPARATE_LAN_STACK`].
const DATA_PROTOCOL: Type = Type::Choice(&Choice {
    mark: Some(Mark::DataProtocol),
    bits: 3,
    root: &[NON_STANDARD, Type::Null, Type::Null, Type::Null, Type::Null, Type::Null, Type::Null],
    extensions: Some(&[]),
});
/// What the data are for: [`T120`], or others.
const APPLICATION: Type = Type::Choice(&Choice {
    mark: Some(Mark::Application),
    bits: 4,
    root: &[
        Type::Stop,
        DATA_PROTOCOL,
        DATA_PROTOCOL,
        DATA_PROTOCOL,
        Type::Stop,
        DATA_PROTOCOL,
        DATA_PROTOCOL,
        closed_sequence!((MUST, DATA_PROTOCOL), (MUST, OCTETS)),
        Type::Null,
        DATA_PROTOCOL,
    ],
    extensions: Some(&[]),
});
/// What a channel carries: [`DATA`], or others.
const DATA_TYPE: Type = Type::Choice(&Choice {
    mark: Some(Mark::DataType),
    bits: 3,
    root: &[
        Type::Stop,
        Type::Null,
        VIDEO,
        AUDIO,
        open_sequence!((MUST, APPLICATION), (MUST, Type::Long(None))),
        open_choice!(1; Type::Stop, Type::Null),
    ],
    extensions: Some(&[]),
});

pub(super) const DATA: u32 = 4;
pub(super) const T120: u32 = 1;
pub(super) const SEPARATE_LAN_STACK: u32 = 7 + 3;

const MEDIA: Type = Type::For(Mark::Media, &ADDRESS);

/// H2250LogicalChannelParameters. Nothing behind the addresses is read; it counts in the bitmap.
const CHANNEL: Type = open_sequence!(
    (MAY, Type::Many(&NON_STANDARD)),
    (MUST, Type::Octet),
    (MAY, Type::Bits(8)),
    (MAY, MEDIA),
    (MAY, Type::Bits(1)),
    (MAY, MEDIA),
    (MUST, Type::Stop),
    (MAY, Type::Null),
    (MAY, Type::Null),
    (MAY, Type::Null),
    (MAY, Type::Null),
    (MAY, Type::Null),
);

/// H2250LogicalChannelAckParameters.
const CHANNEL_ACK: Type = open_sequence!(
    (MAY, Type::Many(&NON_STANDARD)),
    (MAY, Type::Bits(8)),
    (MAY, MEDIA),
    (MAY, MEDIA),
    (MUST, Type::Stop),
    (MAY, Type::Null),
);

/// The parameters of a multiplex: those of H.225.0 came later than `root`.
macro_rules! multiplex {
    ($bits:expr, $root:expr) => {
        Type::Choice(&Choice { mark: None, bits: $bits, root: $root, extensions: Some(&[(0, CHANNEL)]) })
    };
}

/// NetworkAccessParameters.
const NETWORK_ACCESS: Type = open_sequence!(
    (MAY, open_choice!(1; Type::Null, Type::Null)),
    (
        MUST,
        open_choice!(2; Type::Stop, Type::Digits(Size::Bits(7, 1)), Type::For(Mark::SeparateStack, &ADDRESS))
    ),
    BOOL,
    (MAY, Type::Octets(Size::Bits(8, 1))),
);

/// OpenLogicalChannel.
pub(super) const OPEN_LOGICAL_CHANNEL: Type = Type::Sequence(&Sequence {
    root: &[
        (MUST, CHANNEL_NUMBER),
        (
            MUST,
            open_sequence!(
                (MAY, Type::Word),
                (MUST, DATA_TYPE),
                (MUST, multiplex!(2, &[Type::Stop, Type::Stop, Type::Stop])),
            ),
        ),
        (MAY, open_sequence!((MUST, DATA_TYPE), (MAY, multiplex!(1, &[Type::Stop, Type::Stop])))),
    ],
    extensions: Some(&[(0, NETWORK_ACCESS)]),
});

/// LogicalChannelNumber. A channel begins here.
const CHANNEL_NUMBER: Type =
    Type::Choice(&Choice { mark: Some(Mark::Channel), bits: 0, root: &[Type::Word], extensions: None });

/// OpenLogicalChannelAck.
const OPEN_LOGICAL_CHANNEL_ACK: Type = Type::Sequence(&Sequence {
    root: &[
        (MUST, Type::Word),
        (MAY, open_sequence!((MUST, Type::Word), (MAY, Type::Word), (MAY, multiplex!(0, &[Type::Stop])),)),
    ],
    extensions: Some(&[(0, NETWORK_ACCESS), (1, open_choice!(0; CHANNEL_ACK))]),
});

/// MultimediaSystemControlMessage.
pub(super) const MESSAGE: Type = open_choice!(2;
    open_choice!(4;
        Type::Stop, Type::Stop, Type::Stop, OPEN_LOGICAL_CHANNEL, Type::Stop, Type::Stop, Type::Stop, Type::Stop,
        Type::Stop, Type::Stop, Type::Stop,
    ),
    open_choice!(5;
        Type::Stop, Type::Stop, Type::Stop, Type::Stop, Type::Stop, OPEN_LOGICAL_CHANNEL_ACK, Type::Stop, Type::Stop,
        Type::Stop, Type::Stop, Type::Stop, Type::Stop, Type::Stop, Type::Stop, Type::Stop, Type::Stop, Type::Stop,
        Type::Stop, Type::Stop,
    ),
    Type::Stop,
    Type::Stop,
);
