//! Golden octets: text files with sections of hexadecimal digits.

/// The octets of a section of `tests/goldens/plain.hex`.
pub(crate) fn plain(section: &str) -> Vec<u8> {
    of(include_str!("../goldens/plain.hex"), section)
}

/// The octets of a section of `tests/goldens/curve.hex`.
pub(crate) fn curve(section: &str) -> Vec<u8> {
    of(include_str!("../goldens/curve.hex"), section)
}

/// An octet string of known length from `curve.hex`.
pub(crate) fn fixed<const N: usize>(section: &str) -> [u8; N] {
    curve(section).try_into().unwrap()
}

fn of(text: &str, section: &str) -> Vec<u8> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap().trim());
    let heading = format!("[{section}]");
    let within = lines.skip_while(|line| *line != heading).skip(1);
    let digits: String = within.take_while(|line| !line.starts_with('[')).collect();
    let digits: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    let octets: Vec<u8> =
        digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect();
    assert!(!octets.is_empty() && digits.len().is_multiple_of(2), "no section {section}");
    octets
}
