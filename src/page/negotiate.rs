//! Which coding a client takes (RFC 9110, 12.5.3).

/// How a page is coded on its way; of two that a client likes equally well, the later one is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coding {
    /// As it is.
    Identity,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

impl Coding {
    /// The value of `Content-Encoding`; none for a page that is sent as it is.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }
}

/// Chooses by the value of `Accept-Encoding` (several header lines joined by commas).
///
/// What the client likes best. `*` stands for gzip: who does not name zstd may not know it. Where
/// nothing is left, the page is sent as it is, as everybody can read it.
#[must_use]
pub fn coding(accept_encoding: &str) -> Coding {
    let (mut zstd, mut gzip, mut identity, mut any) = (None, None, None, None);
    for item in accept_encoding.split(',') {
        let mut parts = item.split(';');
        let name = parts.next().unwrap_or_default().trim();
        let Some(quality) = quality(parts) else { continue };
        let place = match () {
            () if name.eq_ignore_ascii_case("zstd") => &mut zstd,
            () if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => &mut gzip,
            () if name.eq_ignore_ascii_case("identity") => &mut identity,
            () if name == "*" => &mut any,
            () => continue,
        };
        *place = Some(quality);
    }
    let codings = [(zstd, Coding::Zstd), (gzip.or(any), Coding::Gzip), (identity, Coding::Identity)];
    let accepted = codings.into_iter().filter_map(|(quality, coding)| Some((quality?, coding)));
    let best = accepted.filter(|(quality, _)| *quality > 0).max();
    best.map_or(Coding::Identity, |(_, coding)| coding)
}

/// The weight in thousandths; none when it is not one, so that the item does not count.
fn quality<'a>(parameters: impl Iterator<Item = &'a str>) -> Option<u32> {
    for parameter in parameters {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        if name.trim().eq_ignore_ascii_case("q") {
            return thousandths(value.trim());
        }
    }
    Some(1000)
}

fn thousandths(value: &str) -> Option<u32> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !matches!(whole, "0" | "1") || fraction.len() > 3 || !digits(fraction) {
        return None;
    }
    let quality: u32 = format!("{whole}{fraction:0<3}").parse().ok()?;
    (quality <= 1000).then_some(quality)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codings() {
        #[track_caller]
        fn check(accepted: &str, expected: Coding) {
            assert_eq!(coding(accepted), expected, "{accepted:?}");
        }
        check("", Coding::Identity);
        check("gzip", Coding::Gzip);
        check("GZip", Coding::Gzip);
        check("x-gzip", Coding::Gzip);
        check("deflate, gzip;q=1.0, *;q=0.5", Coding::Gzip);
        check("gzip;q=0", Coding::Identity);
        check("gzip;q=0.000", Coding::Identity);
        check("gzip; q=0.001", Coding::Gzip);
        check("gzip;Q=0", Coding::Identity);
        check("*", Coding::Gzip);
        check("*;q=0", Coding::Identity);
        check("gzip;q=0, *", Coding::Identity);
        check("identity, gzip;q=0.5", Coding::Identity);
        check("identity;q=0.5, gzip;q=0.5", Coding::Gzip);
        check("identity;q=0, gzip", Coding::Gzip);
        check("deflate, br", Coding::Identity);
        check("deflate, br, zstd", Coding::Zstd);
        check("deflate, gzip, br, zstd", Coding::Zstd);
        check("zstd, gzip", Coding::Zstd);
        check("ZSTD;q=0.5,gzip;q=0.5", Coding::Zstd);
        check("zstd;q=0.4, gzip;q=0.5", Coding::Gzip);
        check("gzip;q=0.999, zstd;q=1.000", Coding::Zstd);
        check("zstd;q=0, gzip", Coding::Gzip);
        check("zstd;q=0", Coding::Identity);
        check("zstd;q=0, *", Coding::Gzip);
        check("gzip;q=0, zstd;q=0, *", Coding::Identity);
        check("*, zstd;q=0.1", Coding::Gzip);
        check("*;q=0.1, zstd", Coding::Zstd);
        check("*;q=0, zstd", Coding::Zstd);
        check("*;q=0, zstd;q=0", Coding::Identity);
        check("zstd;q=0.5, identity", Coding::Identity);
        check("identity;q=0, zstd;q=0.1", Coding::Zstd);
        check("identity;q=0", Coding::Identity);
        check("identity;q=0, *;q=0", Coding::Identity);
        check("zstd;q=nonsense, gzip;q=0.1", Coding::Gzip);
        check("gzip, gzip;q=0", Coding::Identity);
        check("zstandard", Coding::Identity);
        check("gzip;q=2", Coding::Identity);
        check("gzip;q=1.001", Coding::Identity);
        check("gzip;q=", Coding::Identity);
        check("gzip;q=-1", Coding::Identity);
        check("gzip;level=9", Coding::Gzip);
        check(",,;;q=,gzip", Coding::Gzip);
        check("gzipped", Coding::Identity);
    }
}
