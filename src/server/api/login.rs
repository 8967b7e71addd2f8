//! Basic authentication [HTTP §11; RFC 7617].

use core::hint::black_box;

use crate::config::{HttpApi, Login};
use crate::server::access::{Denial, Gate};
use crate::server::connection::Connection;
use crate::wire::http::Request;

/// Whether a request may be answered: nobody is asked for a login, or it has the right one.
///
/// # Errors
///
/// Its address has come with too many wrong ones.
pub(super) fn is_let_in(
    gate: &Gate,
    api: &HttpApi,
    connection: &Connection,
    request: &Request<'_>,
) -> Result<bool, Denial> {
    let Some(login) = &api.auth else {
        return Ok(true);
    };
    // Who has not been asked has not guessed.
    let Some(given) = request.authorization else {
        return Ok(false);
    };
    gate.admit(connection.peer.ip(), is_right(login, given))
}

fn is_right(login: &Login, given: &str) -> bool {
    let Some((scheme, token)) = given.split_once(' ') else {
        return false;
    };
    let Login { username, password } = login;
    let right = base64(format!("{username}:{password}").as_bytes());
    scheme.eq_ignore_ascii_case("basic") && is_same(token.trim(), &right)
}

/// Whether they are the same. How long that takes tells nothing but the length.
fn is_same(one: &str, other: &str) -> bool {
    let pairs = one.bytes().zip(other.bytes());
    let differ = pairs.fold(0, |differ, (one, other)| differ | (one ^ other));
    one.len() == other.len() && black_box(differ) == 0
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let at = |index| three.get(index).copied().map_or(0, u32::from);
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for (index, shift) in [18_u32, 12, 6, 0].into_iter().enumerate() {
            let digit = usize::try_from(word >> shift & 0x3f).unwrap_or_default();
            let digit = DIGITS.get(digit).copied().map_or('=', char::from);
            text.push(if index <= three.len() { digit } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_login_is_let_in() {
        // RFC 4648 §10.
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        let login = Login {
            username: "Aladdin".to_owned(),
            password: "open sesame".to_owned(),
        };
        // RFC 7617 §2.
        let right = "QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        for good in [format!("Basic {right}"), format!("BASIC   {right}")] {
            assert!(is_right(&login, &good), "{good}");
        }
        let cut = right.trim_end_matches('=');
        for bad in [
            right.to_owned(),
            format!("Bearer {right}"),
            format!("Basic {cut}"),
            format!("Basic {}", right.to_lowercase()),
            "Basic".to_owned(),
            "Basic ".to_owned(),
        ] {
            assert!(!is_right(&login, &bad), "{bad}");
        }
    }
}
