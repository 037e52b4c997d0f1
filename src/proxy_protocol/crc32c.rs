//! CRC-32C (Castagnoli; RFC 3720 appendix B.4), which a version 2 header may carry.

/// The polynomial, its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;
const TABLE: [u32; 256] = table();

/// The checksum of parts, one after another.
pub(super) fn checksum(parts: &[&[u8]]) -> u32 {
    let octets = parts.iter().flat_map(|part| part.iter());
    let remainder = octets.fold(!0_u32, |sum, octet| {
        let [low, ..] = sum.to_le_bytes();
        (sum >> 8) ^ TABLE[usize::from(low ^ octet)]
    });
    !remainder
}

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < table.len() {
        let mut sum = octet as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 {
                (sum >> 1) ^ POLYNOMIAL
            } else {
                sum >> 1
            };
            bit += 1;
        }
        table[octet] = sum;
        octet += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_3720_come_out() {
        assert_eq!(checksum(&[&[0; 32]]), 0x8a91_36aa);
        assert_eq!(checksum(&[&[0xff; 32]]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(checksum(&[&rising]), 0x46dd_794e);
        assert_eq!(
            checksum(&[&rising[..5], &[], &rising[5..]]),
            checksum(&[&rising])
        );
        assert_eq!(checksum(&[b"123456789"]), 0xe306_9283);
    }
}
