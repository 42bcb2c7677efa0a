//! Socket types, and which ones may be connected (RFC 37, "The Socket-Type Property").

use core::fmt;

/// A socket type that a peer announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SocketType {
    /// PAIR
    Pair,
    /// PUB
    Pub,
    /// SUB
    Sub,
    /// REQ
    Req,
    /// REP
    Rep,
    /// DEALER
    Dealer,
    /// ROUTER
    Router,
    /// PULL
    Pull,
    /// PUSH
    Push,
    /// XPUB
    XPub,
    /// XSUB
    XSub,
}

use SocketType::{Dealer, Pair, Pub, Pull, Push, Rep, Req, Router, Sub, XPub, XSub};

impl SocketType {
    /// All types, in the order of libzmq's numbers.
    pub const ALL: [SocketType; 11] =
        [Pair, Pub, Sub, Req, Rep, Dealer, Router, Pull, Push, XPub, XSub];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Pair => "PAIR",
            Pub => "PUB",
            Sub => "SUB",
            Req => "REQ",
            Rep => "REP",
            Dealer => "DEALER",
            Router => "ROUTER",
            Pull => "PULL",
            Push => "PUSH",
            XPub => "XPUB",
            XSub => "XSUB",
        }
    }

    /// The type of this name. `None`: the name belongs to no type that this crate serves.
    pub fn from_name(name: &[u8]) -> Option<SocketType> {
        SocketType::ALL.into_iter().find(|known| known.name().as_bytes() == name)
    }

    /// The types that may be opposite, as RFC 37 has them.
    ///
    /// ```
    /// use mdp_zmtp::SocketType::{Dealer, Pub, Req, Router};
    ///
    /// assert!(Router.opposites().contains(Req) && Router.opposites().contains(Dealer));
    /// assert!(!Router.opposites().contains(Pub));
    /// ```
    pub const fn opposites(self) -> SocketTypes {
        match self {
            Pair => SocketTypes::of(&[Pair]),
            Pub | XPub => SocketTypes::of(&[Sub, XSub]),
            Sub | XSub => SocketTypes::of(&[Pub, XPub]),
            Req => SocketTypes::of(&[Rep, Router]),
            Rep => SocketTypes::of(&[Req, Dealer]),
            Dealer => SocketTypes::of(&[Rep, Dealer, Router]),
            Router => SocketTypes::of(&[Req, Dealer, Router]),
            Pull => SocketTypes::of(&[Push]),
            Push => SocketTypes::of(&[Pull]),
        }
    }

    /// Whether the type announces an identity. For all other types the property is ignored (RFC 37).
    pub(crate) const fn has_identity(self) -> bool {
        matches!(self, Req | Dealer | Router)
    }

    /// Whether subscriptions are sent to this type.
    pub(crate) const fn has_subscribers(self) -> bool {
        matches!(self, Pub | XPub)
    }
}

impl fmt::Display for SocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of socket types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketTypes(u16);

impl SocketTypes {
    /// The set of these types.
    pub const fn of(types: &[SocketType]) -> Self {
        let mut set = 0;
        let mut rest = types;
        while let [first, others @ ..] = rest {
            set |= 1 << *first as u16;
            rest = others;
        }
        SocketTypes(set)
    }

    /// Whether the set has this type.
    pub const fn contains(self, one: SocketType) -> bool {
        self.0 & (1 << one as u16) != 0
    }

    /// The types of both sets.
    pub(crate) const fn and(self, other: SocketTypes) -> Self {
        SocketTypes(self.0 & other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of RFC 37, row by row.
    #[test]
    fn pairs_are_those_of_the_rfc() {
        for one in SocketType::ALL {
            for other in SocketType::ALL {
                let fits = one.opposites().contains(other);
                assert_eq!(fits, other.opposites().contains(one), "{one} and {other}");
            }
            assert_eq!(SocketType::from_name(one.name().as_bytes()), Some(one));
        }
        assert_eq!(Router.opposites(), SocketTypes::of(&[Req, Dealer, Router]));
        assert!(!Req.opposites().contains(Dealer));
        for name in [&b"router"[..], b"ROUTER\0", b"", b"SERVER"] {
            assert_eq!(SocketType::from_name(name), None);
        }
    }
}
