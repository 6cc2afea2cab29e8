//! What a text message is to the network, and the line by which a phone knows which site a code is for.

/// The text with the line that binds its code to `domain` behind it (WICG, "Origin-bound one-time codes delivered via
/// SMS"): the last line, so that phones fill the code in there and nowhere else.
pub(super) fn bound(text: &str, domain: &str, code: &str) -> String {
    format!("{text}\n@{domain} #{code}")
}

/// Segments that the network sends, and bills: 160 characters of its own alphabet fit into one, or 70 of any other; of
/// longer texts 153 or 67 into each (3GPP TS 23.038, TS 23.040).
pub fn segments(text: &str) -> usize {
    let septets: Option<usize> = text.chars().map(septets).sum();
    let (length, one, each) = match septets {
        Some(septets) => (septets, 160, 153),
        None => (text.encode_utf16().count(), 70, 67),
    };
    if length <= one {
        1
    } else {
        length.div_ceil(each)
    }
}

/// Places that a character takes in the network's alphabet, if it is in it (3GPP TS 23.038 §6.2.1).
fn septets(c: char) -> Option<usize> {
    if BASIC.contains(c) {
        Some(1)
    } else if EXTENDED.contains(c) {
        Some(2)
    } else {
        None
    }
}

const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§\
                     ¿abcdefghijklmnopqrstuvwxyzäöñüà";
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_has_its_128_characters_but_for_the_escape_and_its_ten_extensions() {
        assert_eq!(BASIC.chars().count(), 127);
        assert_eq!(EXTENDED.chars().count(), 10);
    }

    #[test]
    fn a_segment_holds_160_characters_of_the_networks_alphabet_or_70_of_another() {
        for (text, expected) in [
            (String::new(), 1),
            ("ü".repeat(160), 1),
            ("ü".repeat(161), 2),
            ("€".repeat(80), 1),
            ("€".repeat(81), 2),
            ("ç".repeat(70), 1),
            ("ç".repeat(71), 2),
            ("😀".repeat(35), 1),
            ("😀".repeat(36), 2),
            ("a".repeat(307), 3),
        ] {
            assert_eq!(segments(&text), expected, "{text}");
        }
    }
}
