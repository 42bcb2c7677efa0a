//! The cost of a stream's items in units of credit.

/// Bytes of an item that one unit of credit pays for.
pub const UNIT: usize = 256;

/// The cost of an item of `size` bytes, in units of credit: one for each 256 bytes that have begun, at least one. So
/// credit bounds both the items and the bytes of a stream.
///
/// An item may be sent while there is any credit. So its receiver has to hold at most the granted bytes and one item
/// more.
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
