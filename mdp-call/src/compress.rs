//! Compression of payloads between the two ends of a call. Brokers do not look at it.
//!
//! A compressed payload is one byte for the codec, four bytes for the size before compression, and the codec's block
//! (wire.md R78).

use bytes::Bytes;

use crate::codec::EncodedMetadata;
use crate::status::Status;

/// Payloads with fewer bytes are not compressed: they gain little, and share packets with others.
pub const FROM: usize = 1_024;
/// Bytes before the block.
const HEAD: usize = 5;
/// Default maximum of bytes in a message after decompression: 16 MiB.
pub const DEFAULT_MAX: usize = 16 << 20;

/// How the messages of a call are compressed, in both directions. A message is compressed if it has at least 1 KiB and
/// becomes smaller. Each codec is behind a feature of this crate, off by default.
///
/// The other end must be built with the same feature. A worker without the feature answers with UNIMPLEMENTED.
///
/// ```no_run
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "zstd")] {
/// use mdp_runtime::{Client, Compression};
///
/// let client = Client::builder().connect("tcp://127.0.0.1:5555").compress(Compression::Zstd).open().await?;
/// // let reply = auth.login(req).await?;                    // compressed
/// // let reply = auth.login(req).uncompressed().await?;     // not
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Zstandard at level 3: smaller payloads.
    #[cfg(feature = "zstd")]
    Zstd,
    /// LZ4: faster.
    #[cfg(feature = "lz4")]
    Lz4,
}

impl Compression {
    /// The number on the wire.
    #[doc(hidden)]
    pub fn number(self) -> u8 {
        match self {
            #[cfg(feature = "zstd")]
            Compression::Zstd => 1,
            #[cfg(feature = "lz4")]
            Compression::Lz4 => 2,
        }
    }

    /// The codec with this number, if the codec is built in.
    #[doc(hidden)]
    pub fn of(number: u8) -> Option<Self> {
        match number {
            #[cfg(feature = "zstd")]
            1 => Some(Compression::Zstd),
            #[cfg(feature = "lz4")]
            2 => Some(Compression::Lz4),
            _ => None,
        }
    }

    // Without a codec this type has no values, so the arguments are unused.
    #[cfg_attr(not(any(feature = "zstd", feature = "lz4")), allow(unused_variables))]
    fn block(self, uncompressed: &[u8]) -> Option<Vec<u8>> {
        match self {
            #[cfg(feature = "zstd")]
            Compression::Zstd => zstd::bulk::compress(uncompressed, 0).ok(),
            #[cfg(feature = "lz4")]
            Compression::Lz4 => Some(lz4_flex::block::compress(uncompressed)),
        }
    }

    /// Decompresses a block whose uncompressed form has `size` bytes.
    #[cfg_attr(not(any(feature = "zstd", feature = "lz4")), allow(unused_variables))]
    fn uncompressed(self, block: &[u8], size: usize) -> Result<Vec<u8>, String> {
        match self {
            #[cfg(feature = "zstd")]
            Compression::Zstd => {
                zstd::bulk::decompress(block, size).map_err(|error| error.to_string())
            }
            #[cfg(feature = "lz4")]
            // One byte of an LZ4 block stands for at most 255 bytes.
            Compression::Lz4 if size > block.len().saturating_mul(255).saturating_add(64) => {
                Err(format!("{} bytes are too few for {size}", block.len()))
            }
            #[cfg(feature = "lz4")]
            Compression::Lz4 => {
                lz4_flex::block::decompress(block, size).map_err(|error| error.to_string())
            }
        }
    }
}

impl EncodedMetadata {
    /// How the worker may compress the replies to a request with this metadata.
    pub fn accept(&self) -> Option<Compression> {
        Compression::of(u8::try_from(self.marks().accept).ok()?)
    }
}

/// The compression settings of one end of a call.
#[derive(Clone, Copy, Debug)]
pub struct Packing {
    /// How to compress.
    pub with: Option<Compression>,
    /// The maximum number of bytes that a message may have after it was decompressed.
    pub max: usize,
}

impl Default for Packing {
    fn default() -> Self {
        Packing { with: None, max: DEFAULT_MAX }
    }
}

/// Compresses a payload. `None`: compression does not pay, or is off.
pub fn pack(with: Option<Compression>, uncompressed: &[u8]) -> Option<Bytes> {
    let with = with.filter(|_| uncompressed.len() >= FROM)?;
    let size = u32::try_from(uncompressed.len()).ok()?;
    let block = with.block(uncompressed)?;
    if HEAD + block.len() >= uncompressed.len() {
        return None;
    }
    let mut packed = Vec::with_capacity(HEAD + block.len());
    packed.push(with.number());
    packed.extend_from_slice(&size.to_be_bytes());
    packed.extend_from_slice(&block);
    Some(Bytes::from(packed))
}

/// Decompresses a payload.
///
/// # Errors
///
/// UNIMPLEMENTED: the codec is not built in. RESOURCE_EXHAUSTED: it has more than `max` bytes. INVALID_ARGUMENT: it
/// is not what it says.
pub fn unpack(packed: &[u8], max: usize) -> Result<Bytes, Status> {
    let (head, block) = packed.split_first_chunk::<HEAD>().ok_or_else(|| {
        Status::invalid_argument("a compressed message is cut off within its first five bytes")
    })?;
    let [codec, size @ ..] = *head;
    let size = u32::from_be_bytes(size) as usize;
    let with = Compression::of(codec).ok_or_else(|| {
        let name = match codec {
            1 => "zstd".to_owned(),
            2 => "lz4".to_owned(),
            other => format!("codec {other}"),
        };
        Status::unimplemented(format!(
            "a message is compressed with {name}, without which mdp-runtime was built here; its feature \
             of that name is missing"
        ))
    })?;
    if size > max {
        return Err(Status::resource_exhausted(format!(
            "a compressed message has {size} bytes, and {max} are allowed here (`max_decompressed`)"
        )));
    }
    let uncompressed = with.uncompressed(block, size).map_err(|error| {
        Status::invalid_argument(format!("a compressed message cannot be decompressed: {error}"))
    })?;
    if uncompressed.len() != size {
        let found = uncompressed.len();
        return Err(Status::invalid_argument(format!(
            "a compressed message has {found} bytes and says that it has {size}"
        )));
    }
    Ok(Bytes::from(uncompressed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Code;

    #[test]
    fn what_is_not_built_in_is_said() {
        let status = unpack(&[9, 0, 0, 0, 1, 0], 10).unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        assert!(status.message().contains("codec 9"), "{status}");
        assert_eq!(unpack(&[1, 0, 0, 0], 10).unwrap_err().code(), Code::InvalidArgument);
    }

    #[cfg(all(feature = "zstd", feature = "lz4"))]
    mod codecs {
        use super::*;

        const ALL: [Compression; 2] = [Compression::Zstd, Compression::Lz4];

        fn text(len: usize) -> Vec<u8> {
            b"all work and no play ".iter().copied().cycle().take(len).collect()
        }

        #[test]
        fn a_payload_comes_back_as_it_was() {
            for with in ALL {
                for len in [FROM, 10_000, 3_000_000] {
                    let packed = pack(Some(with), &text(len)).unwrap();
                    assert!(packed.len() < len / 2);
                    assert_eq!(unpack(&packed, len).unwrap(), text(len));
                }
                assert_eq!(Compression::of(with.number()), Some(with));
            }
        }

        #[test]
        fn what_gains_nothing_is_left_alone() {
            let mut seed = 1_u64;
            let mut noise = || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 56) as u8
            };
            let noise: Vec<u8> = (0..10_000).map(|_| noise()).collect();
            for with in ALL {
                assert_eq!(pack(Some(with), &noise), None);
                assert_eq!(pack(Some(with), &text(FROM - 1)), None);
            }
            assert_eq!(pack(None, &text(10_000)), None);
        }

        #[test]
        fn nothing_is_allocated_for_a_lie() {
            for with in ALL {
                let packed = pack(Some(with), &text(100_000)).unwrap();
                let status = unpack(&packed, 99_999).unwrap_err();
                assert_eq!(status.code(), Code::ResourceExhausted);
                // The payload announces a size that is too small, then one that is too large.
                for size in [99_999_u32, 100_001] {
                    let mut lie = packed.to_vec();
                    lie[1..5].copy_from_slice(&size.to_be_bytes());
                    assert_eq!(unpack(&lie, 1 << 20).unwrap_err().code(), Code::InvalidArgument);
                }
            }
        }

        #[test]
        fn every_truncation_and_every_changed_byte_is_an_answer() {
            for with in ALL {
                let packed = pack(Some(with), &text(2_000)).unwrap();
                for len in 0..packed.len() {
                    assert!(unpack(&packed[..len], 1 << 16).is_err(), "{with:?} {len}");
                }
                for place in 0..packed.len() {
                    let mut changed = packed.to_vec();
                    changed[place] ^= 0x5a;
                    // Neither codec has a checksum here, so some changes give other bytes without an error.
                    let _ = unpack(&changed, 1 << 16);
                }
            }
        }
    }
}
