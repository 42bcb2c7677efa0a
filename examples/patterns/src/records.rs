//! What travels.

use mdp_runtime::MdpRecord;

/// A reading of a weather station.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub(crate) struct Weather {
    #[mdp(1)]
    pub(crate) celsius: f64,
}

/// What somebody wants to eat.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub(crate) struct Order {
    #[mdp(1)]
    pub(crate) number: u32,
}

/// A move of a game.
#[derive(MdpRecord, Clone, Debug, PartialEq)]
pub(crate) struct Move {
    #[mdp(1)]
    pub(crate) text: String,
}
