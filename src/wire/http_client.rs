//! HTTP/1.1 as far as asking a hook needs it: a POST out, one answer in (RFC 9112).

use httparse::Status;

use crate::limits;

/// One answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The status code, from 200 on.
    pub status: u16,
    /// Without what it was framed in.
    pub body: Vec<u8>,
}

/// Why what came is no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AnswerError {
    /// Not HTTP/1.x, or a body whose length cannot be known for sure.
    Malformed,
    /// Longer than [`limits::MAX_HOOK_ANSWER`].
    TooLarge,
    /// The connection ended before the answer did.
    Cut,
}

impl core::fmt::Display for AnswerError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "its answer is not HTTP",
            Self::TooLarge => "its answer is too long",
            Self::Cut => "it closed before its answer was whole",
        })
    }
}

/// A request that posts `json`; the connection ends after the answer. `host` is that of the URL, with
/// its port, and `target` what follows.
pub fn post(host: &str, target: &str, json: &[u8]) -> Vec<u8> {
    let length = json.len();
    let version = env!("CARGO_PKG_VERSION");
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: srs-lite/{version}\r\nAccept: */*\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    [head.as_bytes(), json].concat()
}

impl Answer {
    /// Takes the answer off the front of `input`, all that came so far; `ended`: nothing will follow.
    ///
    /// `Ok(None)` asks for more bytes. How the bytes were cut into reads does not change the result.
    ///
    /// # Errors
    ///
    /// There is no answer, and will be none.
    pub fn parse(input: &[u8], ended: bool) -> Result<Option<Self>, AnswerError> {
        let (window, too_large) = match input.get(..limits::MAX_HOOK_ANSWER) {
            Some(window) => (window, input.len() > limits::MAX_HOOK_ANSWER),
            None => (input, false),
        };
        match Self::of(window, ended && !too_large)? {
            None if too_large => Err(AnswerError::TooLarge),
            None if ended => Err(AnswerError::Cut),
            answer => Ok(answer),
        }
    }

    fn of(mut input: &[u8], ended: bool) -> Result<Option<Self>, AnswerError> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; limits::MAX_HTTP_FIELDS];
            let mut head = httparse::Response::new(&mut fields);
            let length = match head.parse(input) {
                Ok(Status::Complete(length)) => length,
                Ok(Status::Partial) => return Ok(None),
                Err(httparse::Error::TooManyHeaders) => return Err(AnswerError::TooLarge),
                Err(_) => return Err(AnswerError::Malformed),
            };
            let rest = input.get(length..).unwrap_or_default();
            let status = head.code.ok_or(AnswerError::Malformed)?;
            match status {
                // Nothing that we asked to switch to.
                ..100 | 101 => return Err(AnswerError::Malformed),
                // What comes before the answer [HTTP §15.2].
                102..200 | 100 => input = rest,
                _ => {
                    let body = body(status, head.headers, rest, ended)?;
                    return Ok(body.map(|body| Self { status, body }));
                }
            }
        }
    }
}

/// The body, by the head that came before it; `None` if it is not whole.
fn body(
    status: u16,
    fields: &[httparse::Header<'_>],
    rest: &[u8],
    ended: bool,
) -> Result<Option<Vec<u8>>, AnswerError> {
    let named = |name: &str| {
        let is_it = |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case(name);
        fields
            .iter()
            .filter(is_it)
            .map(|field| field.value.trim_ascii())
            .collect::<Vec<_>>()
    };
    let (codings, lengths) = (named("transfer-encoding"), named("content-length"));
    match (&codings[..], &lengths[..]) {
        // Whatever they say, there is none.
        _ if matches!(status, 204 | 304) => Ok(Some(Vec::new())),
        ([coding], []) if coding.eq_ignore_ascii_case(b"chunked") => chunked(rest),
        ([], [first, others @ ..]) if others.iter().all(|other| other == first) => {
            let digits = !first.is_empty() && first.iter().all(u8::is_ascii_digit);
            let text = core::str::from_utf8(first).ok().filter(|_| digits);
            let length = text.ok_or(AnswerError::Malformed)?.parse();
            let length: usize = length.map_err(|_overflow| AnswerError::TooLarge)?;
            Ok(rest.get(..length).map(<[u8]>::to_vec))
        }
        ([], []) => Ok(ended.then(|| rest.to_vec())),
        _ => Err(AnswerError::Malformed),
    }
}

/// What is in the chunks; the fields after the last of them mean nothing to us.
fn chunked(mut rest: &[u8]) -> Result<Option<Vec<u8>>, AnswerError> {
    let mut body = Vec::new();
    loop {
        let (line, size) = match httparse::parse_chunk_size(rest) {
            Ok(Status::Complete(found)) => found,
            Ok(Status::Partial) => return Ok(None),
            Err(_) => return Err(AnswerError::Malformed),
        };
        if size == 0 {
            return Ok(Some(body));
        }
        let size = usize::try_from(size).map_err(|_overflow| AnswerError::TooLarge)?;
        let Some((chunk, after)) = rest
            .get(line..)
            .and_then(|rest| rest.split_at_checked(size))
        else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        rest = match after {
            [b'\r', b'\n', rest @ ..] => rest,
            [] | [b'\r'] => return Ok(None),
            _ => return Err(AnswerError::Malformed),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_can_be_read() {
        let bytes = post("a:80", "/b?c", b"{}");
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.starts_with("POST /b?c HTTP/1.1\r\nHost: a:80\r\n"),
            "{text}"
        );
        assert!(
            text.ends_with("Content-Length: 2\r\nConnection: close\r\n\r\n{}"),
            "{text}"
        );
    }

    /// Answers with their body.
    const ANSWERS: &[(&str, &str)] = &[
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n0", "0"),
        (
            "HTTP/1.1 200\r\ncontent-length: 01\r\nContent-Length: 01\r\n\r\n0",
            "0",
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length:1\r\n\r\n0",
            "0",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\n0\r\n0\r\n",
            "0",
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;a\r\n0\r\n2\r\n12\r\n0\r\n",
            "012",
        ),
        ("HTTP/1.0 200 OK\r\n\r\n{\"code\":0}", "{\"code\":0}"),
    ];

    /// What is no answer, and why.
    const OTHERS: &[(&str, AnswerError)] = &[
        ("", AnswerError::Cut),
        ("HTTP/1.1 200 OK\r\n", AnswerError::Cut),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n0",
            AnswerError::Cut,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n0",
            AnswerError::Cut,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n0\r\n",
            AnswerError::Cut,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            AnswerError::Malformed,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0",
            AnswerError::Malformed,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n01",
            AnswerError::Malformed,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n0",
            AnswerError::Malformed,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n0",
            AnswerError::TooLarge,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            AnswerError::Malformed,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n00\r\n",
            AnswerError::Malformed,
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            AnswerError::Malformed,
        ),
        ("SSH-2.0-OpenSSH_9.2\r\n", AnswerError::Malformed),
    ];

    #[test]
    fn answers() {
        for (text, body) in ANSWERS {
            let body = body.as_bytes().to_vec();
            let answer = Answer { status: 200, body };
            let parsed = Answer::parse(text.as_bytes(), true);
            assert_eq!(parsed, Ok(Some(answer)), "{text}");
            for end in 0..text.len() {
                let part = text.as_bytes().get(..end).unwrap();
                assert_eq!(Answer::parse(part, false), Ok(None), "{text} to {end}");
            }
        }
        for (text, error) in OTHERS {
            assert_eq!(Answer::parse(text.as_bytes(), true), Err(*error), "{text}");
        }
        let empty = "HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n";
        let empty = Answer::parse(empty.as_bytes(), false).unwrap();
        assert_eq!(empty.map(|answer| answer.body.len()), Some(0));
    }

    #[test]
    fn an_answer_is_as_long_as_the_limit_and_no_longer() {
        let answer = |body: usize| {
            let head = "HTTP/1.1 200 OK\r\n\r\n";
            format!("{head}{}", "0".repeat(body - head.len()))
        };
        let longest = answer(limits::MAX_HOOK_ANSWER);
        assert!(matches!(
            Answer::parse(longest.as_bytes(), true),
            Ok(Some(_))
        ));
        assert_eq!(Answer::parse(longest.as_bytes(), false), Ok(None));
        let longer = answer(limits::MAX_HOOK_ANSWER + 1);
        for ended in [false, true] {
            let answer = Answer::parse(longer.as_bytes(), ended);
            assert_eq!(answer, Err(AnswerError::TooLarge));
        }
    }
}
