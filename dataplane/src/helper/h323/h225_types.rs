//! The types of H.225.0, as far as they stand before or around the addresses of calls and of their control channels.

use super::h245_types::{MESSAGE, OPEN_LOGICAL_CHANNEL, closed_sequence, open_choice, open_sequence};
use super::per::{Choice, MAY, MUST, Mark, Sequence, Size, Type};

const BOOL: (bool, Type) = (MUST, Type::Bits(1));
const OCTETS: Type = Type::Octets(Size::Any);
/// BMPString of 1 to 128 characters.
const IDENTIFIER: Type = Type::Wide(Size::Bits(7, 1));
/// Octets of which there are 1 to 256.
const LABEL: Type = Type::Octets(Size::Octet(1));
const GUID: Type = Type::Octets(Size::Fixed(16));

const H221: Type = open_sequence!((MUST, Type::Octet), (MUST, Type::Octet), (MUST, Type::Word));
const NON_STANDARD: Type = closed_sequence!((MUST, open_choice!(1; Type::ObjectId, H221)), (MUST, OCTETS));

/// TransportAddress.
const ADDRESS: Type = open_choice!(3;
    closed_sequence!((MUST, Type::Socket(4))),
    open_sequence!(
        (MUST, Type::Octets(Size::Fixed(4))),
        (MUST, Type::Word),
        (MUST, Type::Many(&Type::Octets(Size::Fixed(4)))),
        (MUST, open_choice!(1; Type::Null, Type::Null)),
    ),
    closed_sequence!(
        (MUST, Type::Octets(Size::Fixed(6))),
        (MUST, Type::Octets(Size::Fixed(4))),
        (MUST, Type::Octets(Size::Fixed(2))),
    ),
    open_sequence!((MUST, Type::Socket(16))),
    Type::Octets(Size::Fixed(16)),
    Type::Octets(Size::Bits(5, 1)),
    NON_STANDARD,
);

const ALIAS: Type = open_choice!(1; Type::Digits(Size::Bits(7, 1)), Type::Wide(Size::Octet(1)));
const ALIASES: Type = Type::Many(&ALIAS);

/// What a gateway, a terminal or a protocol of it has, as far as version 1 goes.
const CAPABILITIES: Type = open_sequence!((MAY, NON_STANDARD));
const PROTOCOL: Type = open_choice!(4;
    NON_STANDARD, CAPABILITIES, CAPABILITIES, CAPABILITIES, CAPABILITIES, CAPABILITIES, CAPABILITIES, CAPABILITIES,
    CAPABILITIES,
);
const VENDOR: Type = open_sequence!((MUST, H221), (MAY, LABEL), (MAY, LABEL));
const ENDPOINT: Type = open_sequence!(
    (MAY, NON_STANDARD),
    (MAY, VENDOR),
    (MAY, CAPABILITIES),
    (MAY, open_sequence!((MAY, Type::Many(&PROTOCOL)), (MAY, NON_STANDARD))),
    (MAY, CAPABILITIES),
    (MAY, CAPABILITIES),
    BOOL,
    BOOL,
);
const QSERIES: Type =
    open_sequence!(BOOL, BOOL, BOOL, BOOL, BOOL, BOOL, BOOL, (MUST, open_sequence!(BOOL, BOOL)));

const H245_ADDRESS: Type = Type::For(Mark::H245Address, &ADDRESS);
const FAST_START: Type = Type::Many(&Type::Open(&OPEN_LOGICAL_CHANNEL));

const SETUP: Type = Type::Sequence(&Sequence {
    root: &[
        (MUST, Type::ObjectId),
        (MAY, H245_ADDRESS),
        (MAY, ALIASES),
        (MUST, ENDPOINT),
        (MAY, ALIASES),
        (MAY, ADDRESS),
        (MAY, ALIASES),
        (MAY, Type::Many(&Type::Word)),
        BOOL,
        (MUST, GUID),
        (MUST, open_choice!(2; Type::Null, Type::Null, Type::Null)),
        (MAY, QSERIES),
        (MUST, open_choice!(2; Type::Null, Type::Null, Type::Null, Type::Null)),
    ],
    extensions: Some(&[(6, FAST_START)]),
});
const CALL_PROCEEDING: Type = Type::Sequence(&Sequence {
    root: &[(MUST, Type::ObjectId), (MUST, ENDPOINT), (MAY, H245_ADDRESS)],
    extensions: Some(&[(4, FAST_START)]),
});
const CONNECT: Type = Type::Sequence(&Sequence {
    root: &[(MUST, Type::ObjectId), (MAY, H245_ADDRESS), (MUST, ENDPOINT), (MUST, GUID)],
    extensions: Some(&[(4, FAST_START)]),
});
const ALERTING: Type = CALL_PROCEEDING;
const FACILITY: Type = Type::Sequence(&Sequence {
    root: &[
        (MUST, Type::ObjectId),
        (MAY, Type::For(Mark::AlternativeAddress, &ADDRESS)),
        (MAY, ALIASES),
        (MAY, GUID),
        (
            MUST,
            Type::Choice(&Choice {
                mark: Some(Mark::FacilityReason),
                bits: 2,
                root: &[Type::Null, Type::Null, Type::Null, Type::Null],
                extensions: Some(&[]),
            }),
        ),
    ],
    extensions: Some(&[(6, H245_ADDRESS), (7, FAST_START)]),
});
pub(super) const CALL_FORWARDED: u32 = 1;
const SECURITY: Type = open_choice!(2; NON_STANDARD, Type::Null, Type::Stop, Type::Stop);
const PROGRESS: Type = open_sequence!(
    (MUST, Type::ObjectId),
    (MUST, ENDPOINT),
    (MAY, H245_ADDRESS),
    (MUST, open_sequence!((MUST, GUID))),
    (MAY, SECURITY),
    (MAY, Type::Stop),
    (MAY, Type::Stop),
    (MAY, FAST_START),
);

/// What a message of call signalling says to the other end's user: H323-UserInformation.
pub(super) const USER_INFORMATION: Type = open_sequence!(
    (
        MUST,
        Type::Sequence(&Sequence {
            root: &[
                (
                    MUST,
                    Type::Choice(&Choice {
                        mark: None,
                        bits: 3,
                        root: &[
                            SETUP,
                            CALL_PROCEEDING,
                            CONNECT,
                            ALERTING,
                            INFORMATION,
                            RELEASE_COMPLETE,
                            FACILITY
                        ],
                        extensions: Some(&[(0, PROGRESS)]),
                    })
                ),
                (MAY, NON_STANDARD),
            ],
            // H.245 within call signalling.
            extensions: Some(&[(2, Type::Many(&Type::Open(&MESSAGE)))]),
        })
    ),
    (MAY, Type::Stop),
);
const INFORMATION: Type = open_sequence!((MUST, Type::ObjectId));
const RELEASE_COMPLETE: Type = open_sequence!(
    (MUST, Type::ObjectId),
    (
        MAY,
        open_choice!(4;
            Type::Null, Type::Null, Type::Null, Type::Null, Type::Null, Type::Null, Type::Null, Type::Null, Type::Null,
            Type::Null, Type::Null, Type::Null,
        )
    ),
);

/// The number of a request; it is in every message.
const REQUEST: (bool, Type) = (MUST, Type::Word);
const TIME_TO_LIVE: Type = Type::Long(Some(Mark::TimeToLive));
const CALL_SIGNAL_ADDRESS: Type = Type::For(Mark::CallSignalAddress, &ADDRESS);
const GATEKEEPER_CONFIRM: Type = open_sequence!(
    REQUEST,
    (MUST, Type::ObjectId),
    (MAY, NON_STANDARD),
    (MAY, IDENTIFIER),
    (MUST, Type::For(Mark::RasAddress, &ADDRESS)),
);
const REGISTRATION_REQUEST: Type = Type::Sequence(&Sequence {
    root: &[
        REQUEST,
        (MUST, Type::ObjectId),
        (MAY, NON_STANDARD),
        BOOL,
        (MUST, Type::Many(&CALL_SIGNAL_ADDRESS)),
        (MUST, Type::Many(&ADDRESS)),
        (MUST, ENDPOINT),
        (MAY, ALIASES),
        (MAY, IDENTIFIER),
        (MUST, VENDOR),
    ],
    extensions: Some(&[(1, TIME_TO_LIVE), (2, Type::Stop)]),
});
const REGISTRATION_CONFIRM: Type = Type::Sequence(&Sequence {
    root: &[
        REQUEST,
        (MUST, Type::ObjectId),
        (MAY, NON_STANDARD),
        (MUST, Type::Many(&ADDRESS)),
        (MAY, ALIASES),
        (MAY, IDENTIFIER),
        (MUST, IDENTIFIER),
    ],
    extensions: Some(&[(1, TIME_TO_LIVE), (2, Type::Stop)]),
});
const ADMISSION_CONFIRM: Type = open_sequence!(
    REQUEST,
    (MUST, Type::Long(None)),
    (MUST, open_choice!(1; Type::Null, Type::Null)),
    (MUST, CALL_SIGNAL_ADDRESS),
    (MAY, Type::Word),
    (MAY, NON_STANDARD),
);
const LOCATION_CONFIRM: Type =
    open_sequence!(REQUEST, (MUST, CALL_SIGNAL_ADDRESS), (MUST, ADDRESS), (MAY, NON_STANDARD));

/// RasMessage. Of those that are not looked into only the number counts.
pub(super) const RAS_MESSAGE: Type = Type::Choice(&Choice {
    mark: Some(Mark::RasMessage),
    bits: 5,
    root: &[
        Type::Stop,
        GATEKEEPER_CONFIRM,
        Type::Stop,
        REGISTRATION_REQUEST,
        REGISTRATION_CONFIRM,
        Type::Stop,
        Type::Stop,
        Type::Stop,
        Type::Stop,
        Type::Stop,
        ADMISSION_CONFIRM,
        Type::Stop,
        Type::Stop,
        Type::Stop,
        Type::Stop,
        Type::Stop,
        Type::Stop,
        Type::Stop,
        Type::Stop,
        LOCATION_CONFIRM,
        Type::Stop,
        Type::Stop,
        Type::Stop,
        Type::Stop,
        Type::Stop,
    ],
    extensions: Some(&[]),
});
pub(super) const GCF: u32 = 1;
pub(super) const RRQ: u32 = 3;
pub(super) const RCF: u32 = 4;
pub(super) const URQ: u32 = 6;
pub(super) const ACF: u32 = 10;
pub(super) const LCF: u32 = 19;
