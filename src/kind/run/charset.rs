//! The charset of a body: what browsers take it for (header, byte order mark, meta element), as
//! UTF-8.

use std::borrow::Cow;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, X_USER_DEFINED};

use crate::net::http_response::Response;

/// Browsers look for a declaration in this much of a page.
const DECLARED_WITHIN: usize = 1024;

/// A body in UTF-8 and the name of what it was in, where that is another charset or a byte order
/// mark stands before it.
pub fn in_utf_8<'b>(response: &Response, body: &'b [u8]) -> Option<(&'static str, Cow<'b, str>)> {
    if let Some((encoding, length)) = Encoding::for_bom(body) {
        return Some((
            encoding.name(),
            encoding.decode_without_bom_handling(&body[length..]).0,
        ));
    }
    let encoding = other(response, body)?;
    let text = encoding.decode_without_bom_handling(body).0;
    // What is the same in UTF-8 was looked at already.
    (text.as_bytes() != body).then_some((encoding.name(), text))
}

/// Whether a body is looked at in UTF-8, too.
pub fn is_recoded(response: &Response, body: &[u8]) -> bool {
    Encoding::for_bom(body).is_some() || other(response, body).is_some()
}

fn other(response: &Response, body: &[u8]) -> Option<&'static Encoding> {
    let header = response.values("content-type").next().unwrap_or_default();
    let encoding = declared(header).or_else(|| {
        if may_declare(header) {
            of_page(&body[..body.len().min(DECLARED_WITHIN)])
        } else {
            None
        }
    })?;
    (encoding != UTF_8 && encoding != REPLACEMENT && encoding != X_USER_DEFINED).then_some(encoding)
}

/// The value of `charset=` in a header or an element.
fn declared(text: &[u8]) -> Option<&'static Encoding> {
    let lower = text.to_ascii_lowercase();
    let mut from = 0;
    while let Some(at) = lower[from..]
        .windows(7)
        .position(|w| w == b"charset")
        .map(|at| from + at + 7)
    {
        from = at;
        if let Some(value) = lower[at..].trim_ascii_start().strip_prefix(b"=") {
            return label(value);
        }
    }
    None
}

fn label(value: &[u8]) -> Option<&'static Encoding> {
    let value = value.trim_ascii_start();
    let bare = value
        .strip_prefix(b"\"")
        .or_else(|| value.strip_prefix(b"'"))
        .unwrap_or(value);
    let end = bare
        .iter()
        .position(|b| b.is_ascii_whitespace() || b"\"';,/>?".contains(b))
        .unwrap_or(bare.len());
    Encoding::for_label(&bare[..end])
}

/// Whether a body of this type may say itself which charset it is in.
fn may_declare(content_type: &[u8]) -> bool {
    let lower = content_type.to_ascii_lowercase();
    lower.is_empty()
        || [&b"html"[..], b"xml"]
            .iter()
            .any(|kind| lower.windows(kind.len()).any(|w| w == *kind))
}

/// A meta element, or the declaration of XML. It was read as ASCII, so that it cannot be UTF-16.
fn of_page(start: &[u8]) -> Option<&'static Encoding> {
    let lower = start.to_ascii_lowercase();
    let found = match lower.strip_prefix(b"<?xml") {
        Some(rest) => {
            let end = rest.iter().position(|b| *b == b'>').unwrap_or(rest.len());
            let at = rest[..end]
                .windows(8)
                .position(|w| w == b"encoding")
                .map(|at| at + 8)?;
            rest[at..end]
                .trim_ascii_start()
                .strip_prefix(b"=")
                .and_then(label)
        }
        None => lower
            .windows(5)
            .enumerate()
            .filter(|(_, w)| *w == b"<meta")
            .find_map(|(at, _)| {
                declared(
                    &lower[at..lower[at..]
                        .iter()
                        .position(|b| *b == b'>')
                        .map_or(lower.len(), |end| at + end)],
                )
            }),
    };
    found.map(|e| if e.is_ascii_compatible() { e } else { UTF_8 })
}

#[cfg(test)]
mod tests {
    use crate::kind::run::charset::*;

    fn read(content_type: &str, body: &[u8]) -> Option<(&'static str, String)> {
        let headers = if content_type.is_empty() {
            Vec::new()
        } else {
            vec![("content-type".into(), content_type.into())]
        };
        in_utf_8(
            &Response {
                headers,
                ..Response::default()
            },
            body,
        )
        .map(|(name, text)| (name, text.into_owned()))
    }

    #[test]
    fn the_charset_of_header_mark_and_meta_is_honoured_in_this_order() {
        let utf_16 = |mark: u16, text: &str, write: fn(u16) -> [u8; 2]| {
            std::iter::once(mark)
                .chain(text.encode_utf16())
                .flat_map(write)
                .collect::<Vec<u8>>()
        };
        for (content_type, body, name, text) in [
            (
                "text/html; charset=ISO-8859-1",
                &b"gr\xfc\xdfe"[..],
                "windows-1252",
                "gr\u{fc}\u{df}e",
            ),
            (
                "text/html; charset=\"windows-1252\"",
                b"\x80 5",
                "windows-1252",
                "\u{20ac} 5",
            ),
            (
                "text/html;Charset = GBK",
                b"\xc4\xe3\xba\xc3",
                "GBK",
                "\u{4f60}\u{597d}",
            ),
            (
                "text/plain; charset=shift_jis",
                b"\x93\xfa\x96{",
                "Shift_JIS",
                "\u{65e5}\u{672c}",
            ),
            (
                "text/plain; charset=utf-16le",
                b"a\0\xe9\0",
                "UTF-16LE",
                "a\u{e9}",
            ),
            (
                "text/html",
                b"<meta charset=iso-8859-15>\xa4",
                "ISO-8859-15",
                "<meta charset=iso-8859-15>\u{20ac}",
            ),
            (
                "",
                b"<META HTTP-EQUIV='Content-Type' CONTENT='text/html; charset=koi8-r'>\xc1",
                "KOI8-R",
                "<META HTTP-EQUIV='Content-Type' CONTENT='text/html; charset=koi8-r'>\u{430}",
            ),
            (
                "application/xml",
                b"<?xml version='1.0' encoding='EUC-JP'?>\xc6\xfc",
                "EUC-JP",
                "<?xml version='1.0' encoding='EUC-JP'?>\u{65e5}",
            ),
            (
                "text/html; charset=gbk",
                b"\xef\xbb\xbfgr\xc3\xbcn",
                "UTF-8",
                "gr\u{fc}n",
            ),
            (
                "application/json",
                &utf_16(0xFEFF, "{\"a\":1}", u16::to_le_bytes),
                "UTF-16LE",
                "{\"a\":1}",
            ),
            (
                "application/json",
                &utf_16(0xFEFF, "{\"a\":1}", u16::to_be_bytes),
                "UTF-16BE",
                "{\"a\":1}",
            ),
        ] {
            assert_eq!(
                read(content_type, body),
                Some((name, text.to_owned())),
                "{content_type} {body:?}"
            );
        }
    }

    #[test]
    fn what_is_utf_8_undeclared_or_unknown_is_looked_at_as_it_is() {
        for (content_type, body) in [
            ("text/html", &b"plain"[..]),
            ("text/html; charset=utf-8", b"gr\xc3\xbcn"),
            ("text/html; charset=iso-8859-1", b"only ASCII"),
            ("text/html; charset=nonsense", b"\xfc"),
            ("text/html; charset=", b"\xfc"),
            ("text/html; charset", b"\xfc"),
            ("application/octet-stream", b"<meta charset=gbk>\xc4\xe3"),
            ("text/html", b"<meta charset=utf-16le>ab"),
            ("text/html; charset=iso-2022-kr", b"\x1b$)C"),
            (
                "text/html",
                &[&b"<p>".repeat(400)[..], b"<meta charset=gbk>\xc4\xe3"].concat(),
            ),
        ] {
            assert_eq!(read(content_type, body), None, "{content_type} {body:?}");
        }
    }
}
