//! Plain PEM files, as every server reads them: a folder a name.

use super::{Body, Kept, Piece};

const END: &str = "-----END CERTIFICATE-----";

pub(super) fn pieces(kept: &[Kept]) -> Vec<Piece> {
    kept.iter().flat_map(of_one).collect()
}

fn of_one(kept: &Kept) -> [Piece; 4] {
    let bundle = &kept.ready.bundle;
    let (leaf, rest) = split(&bundle.chain);
    let piece = |name: &str, text: &str| Piece {
        path: format!("{}/{name}.pem", kept.id.as_str()),
        body: Body::File(text.as_bytes().to_vec()),
    };
    [
        piece("cert", leaf),
        piece("chain", rest),
        piece("fullchain", &bundle.chain),
        piece("privkey", &bundle.key.0),
    ]
}

/// The first certificate, and what follows on it.
pub(super) fn split(chain: &str) -> (&str, &str) {
    let end = chain.find(END).map_or(chain.len(), |at| at + END.len());
    let (leaf, rest) = chain.split_at(end);
    let line = leaf.len() + rest.len() - rest.trim_start().len();
    chain.split_at(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leaf_and_its_chain_are_told_apart_and_nothing_is_lost() {
        let one = format!("-----BEGIN CERTIFICATE-----\nA\n{END}\n");
        let two = format!("{one}\n{one}");
        assert_eq!(split(&one), (one.as_str(), ""));
        let (leaf, rest) = split(&two);
        assert_eq!((leaf.trim_end(), rest), (one.trim_end(), one.as_str()));
        assert_eq!(format!("{leaf}{rest}"), two);
        assert_eq!(split("nothing"), ("nothing", ""));
    }
}
