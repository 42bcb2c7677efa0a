//! What the items of a stream cost.

/// Bytes of an item that one unit of credit is for.
pub const UNIT: usize = 256;

/// What an item of `size` bytes costs in units of credit: one for each 256 of them that are begun, and
/// one at least. So credit bounds a stream both in items and in bytes.
///
/// An item may be sent while there is any credit at all, so what its receiver has to hold is what it
/// granted and one item.
///
/// ```
/// use mdp_protocol::wire::units;
/// assert_eq!([units(0), units(64), units(256), units(257)], [1, 1, 1, 2]);
/// ```
pub const fn units(size: usize) -> u32 {
    let units = size.div_ceil(UNIT);
    if units == 0 {
        1
    } else if units > u32::MAX as usize {
        u32::MAX
    } else {
        units as u32
    }
}
