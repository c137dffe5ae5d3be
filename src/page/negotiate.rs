//! Which coding a client takes (RFC 9110, 12.5.3).

/// How a page is coded on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// gzip.
    Gzip,
}

/// Chooses by the value of `Accept-Encoding` (several header lines joined by commas).
///
/// gzip when it is accepted and not worth less to the client than the plain page.
#[must_use]
pub fn coding(accept_encoding: &str) -> Coding {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for item in accept_encoding.split(',') {
        let mut parts = item.split(';');
        let name = parts.next().unwrap_or_default().trim();
        let Some(quality) = quality(parts) else { continue };
        let place = match () {
            () if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => &mut gzip,
            () if name.eq_ignore_ascii_case("identity") => &mut identity,
            () if name == "*" => &mut any,
            () => continue,
        };
        *place = Some(quality);
    }
    let gzip = gzip.or(any).unwrap_or(0);
    if gzip > 0 && gzip >= identity.unwrap_or(0) { Coding::Gzip } else { Coding::Identity }
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
        check("deflate, br, zstd", Coding::Identity);
        check("gzip;q=2", Coding::Identity);
        check("gzip;q=1.001", Coding::Identity);
        check("gzip;q=", Coding::Identity);
        check("gzip;q=-1", Coding::Identity);
        check("gzip;level=9", Coding::Gzip);
        check(",,;;q=,gzip", Coding::Gzip);
        check("gzipped", Coding::Identity);
    }
}
