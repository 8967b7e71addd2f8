//! The view as a page that is whole without a script. The script only asks for it again.

use core::fmt::{self, Display, Write as _};
use core::time::Duration;

use super::assets;
use super::view::{Audio, Client, Process, Stream, Video, View};

/// The page.
pub(super) fn page(view: &View) -> String {
    let mut out = String::with_capacity(8192);
    // Writing to a string cannot fail.
    let _ = whole(&mut out, view);
    out
}

fn whole(out: &mut String, view: &View) -> fmt::Result {
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>srs-lite</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <link rel=\"stylesheet\" href=\"{}\">\n<script type=\"module\" src=\"{}\"></script>\n\
         </head>\n<body data-hls=\"{}\" data-mpegts=\"{}\">\n<h1>srs-lite</h1>\n\
         <p id=\"state\" role=\"status\"></p>\n<main>\n",
        assets::STYLE,
        assets::SCRIPT,
        assets::HLS,
        assets::MPEGTS,
    )?;
    processes(out, &view.processes)?;
    streams(out, view)?;
    write!(
        out,
        "</main>\n<footer>srs-lite {} · players: hls.js and mpegts.js, \
         <a href=\"{}\">their licences</a></footer>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        assets::LICENCES,
    )
}

fn processes(out: &mut String, processes: &[Process]) -> fmt::Result {
    out.push_str(
        "<section id=\"processes\">\n<h2>Processes of this port</h2>\n<table>\n<thead><tr>\
         <th scope=\"col\">Process</th><th scope=\"col\">Up</th>\
         <th scope=\"col\">Connections</th><th scope=\"col\">Streams</th>\
         <th scope=\"col\">kbit/s in</th><th scope=\"col\">kbit/s out</th></tr></thead>\n<tbody>",
    );
    for process in processes {
        let pid = process.pid;
        write!(out, "<tr id=\"process-{pid}\"><th scope=\"row\">{pid}")?;
        if process.answers {
            out.push_str("<small>made this page</small>");
        }
        out.push_str("</th>");
        cell(out, "Up", Up(process.up))?;
        cell(out, "Connections", process.connections)?;
        cell(out, "Streams", process.streams)?;
        cell(out, "kbit/s in", Figure(process.kbps_in))?;
        cell(out, "kbit/s out", Figure(process.kbps_out))?;
        out.push_str("</tr>");
    }
    out.push_str("</tbody>\n</table>\n</section>\n");
    Ok(())
}

fn streams(out: &mut String, view: &View) -> fmt::Result {
    out.push_str("<section id=\"streams\">\n<h2>Live streams</h2>\n");
    if view.streams.is_empty() {
        out.push_str(
            "<p class=\"none\">Nothing is live. A stream is listed as soon as it is published, or \
             fetched for a player.</p>\n</section>\n",
        );
        return Ok(());
    }
    out.push_str(
        "<table>\n<thead><tr><th scope=\"col\">Stream</th><th scope=\"col\">Process</th>\
         <th scope=\"col\">Up</th><th scope=\"col\">Video</th><th scope=\"col\">Audio</th>\
         <th scope=\"col\">kbit/s</th><th scope=\"col\">Players</th>\
         <th scope=\"col\">Dropped</th><th scope=\"col\">Watch</th></tr></thead>\n<tbody>",
    );
    for one in &view.streams {
        stream(out, one)?;
    }
    out.push_str("</tbody>\n</table>\n");
    if view.more > 0 {
        writeln!(out, "<p class=\"none\">And {} more.</p>", view.more)?;
    }
    out.push_str("</section>\n");
    Ok(())
}

fn stream(out: &mut String, stream: &Stream) -> fmt::Result {
    let path = Escaped(&stream.path);
    write!(
        out,
        "<tr id=\"stream-{path}\"><th scope=\"row\">{path}</th><td data-label=\"Process\"><div>{}",
        stream.pid
    )?;
    if !stream.others.is_empty() {
        out.push_str("<small>also ");
        for (at, other) in stream.others.iter().enumerate() {
            write!(out, "{}{other}", if at > 0 { ", " } else { "" })?;
        }
        out.push_str("</small>");
    }
    if let Some(from) = &stream.from {
        write!(out, "<small>from {}</small>", Escaped(from))?;
    }
    out.push_str("</div></td>");
    cell(out, "Up", Up(stream.up))?;
    media(out, stream)?;
    cell(out, "kbit/s", Figure(stream.kbps))?;
    cell(out, "Players", Figure(stream.players))?;
    cell(out, "Dropped", stream.dropped)?;
    watch(out, stream)?;
    out.push_str("</tr>");
    match &stream.clients {
        Some(all) => clients(out, &stream.path, all),
        None => Ok(()),
    }
}

/// Its video and its audio.
fn media(out: &mut String, stream: &Stream) -> fmt::Result {
    out.push_str("<td data-label=\"Video\"><div>");
    match &stream.video {
        None => out.push_str("none"),
        Some(Video { codec, size, rate }) => {
            write!(out, "{}", Escaped(codec))?;
            if let Some((width, height)) = size {
                write!(out, "<small>{width}×{height}</small>")?;
            }
            if let Some(rate) = rate {
                write!(out, "<small>{rate:.1} frames/s</small>")?;
            }
        }
    }
    out.push_str("</div></td><td data-label=\"Audio\"><div>");
    match &stream.audio {
        None => out.push_str("none"),
        Some(Audio {
            codec,
            rate,
            channels,
        }) => {
            write!(out, "{}", Escaped(codec))?;
            if let Some(rate) = rate {
                write!(out, "<small>{rate} Hz</small>")?;
            }
            match channels {
                None => {}
                Some(1) => out.push_str("<small>mono</small>"),
                Some(2) => out.push_str("<small>stereo</small>"),
                Some(more) => write!(out, "<small>{more} channels</small>")?,
            }
        }
    }
    out.push_str("</div></td>");
    Ok(())
}

fn watch(out: &mut String, stream: &Stream) -> fmt::Result {
    out.push_str("<td data-label=\"Watch\"><div>");
    match stream.hls {
        Some(true) => link(out, &stream.path, "m3u8", "HLS")?,
        Some(false) => out.push_str("<small class=\"bad\">HLS cannot be written</small>"),
        None => {}
    }
    if stream.flv {
        out.push(' ');
        link(out, &stream.path, "flv", "FLV")?;
    }
    if stream.hls.is_none() && !stream.flv {
        out.push_str("RTMP only");
    }
    out.push_str("</div></td>");
    Ok(())
}

/// To the stream in this format; the script plays it.
fn link(out: &mut String, path: &str, suffix: &str, name: &str) -> fmt::Result {
    let path = Escaped(path);
    write!(
        out,
        "<a href=\"/{path}.{suffix}\" data-play=\"{suffix}\" data-stream=\"{path}\" \
         aria-label=\"Play {path}, {name}\">{name}</a>"
    )
}

/// A row below the stream's own.
fn clients(out: &mut String, path: &str, clients: &[Client]) -> fmt::Result {
    let path = Escaped(path);
    write!(
        out,
        "<tr id=\"clients-{path}\" class=\"clients\"><td colspan=\"9\"><details>\
         <summary>{} clients of {path}</summary><table>\n<thead><tr><th scope=\"col\">Client</th>\
         <th scope=\"col\">Process</th><th scope=\"col\">What</th><th scope=\"col\">Up</th>\
         <th scope=\"col\">End</th></tr></thead>\n<tbody>",
        clients.len()
    )?;
    for client in clients {
        let (id, address) = (Escaped(&client.id), Escaped(&client.address));
        write!(
            out,
            "<tr id=\"client-{id}\"><th scope=\"row\">{address}</th>"
        )?;
        cell(out, "Process", client.pid)?;
        cell(out, "What", Escaped(&client.what))?;
        cell(out, "Up", Up(client.up))?;
        write!(
            out,
            "<td data-label=\"End\"><div><button type=\"button\" data-kick=\"{}\" \
             aria-label=\"End {address}\">End</button></div></td></tr>",
            Escaped(&client.kick)
        )?;
    }
    out.push_str("</tbody>\n</table></details></td></tr>");
    Ok(())
}

/// One value under a heading.
fn cell(out: &mut String, label: &str, value: impl Display) -> fmt::Result {
    write!(out, "<td data-label=\"{label}\"><div>{value}</div></td>")
}

/// A number of which the script draws what it was.
struct Figure(u64);

impl Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = self;
        write!(
            f,
            "{value}<span class=\"spark\" data-value=\"{value}\"></span>"
        )
    }
}

/// `1:02:03`, after as many days as there are.
struct Up(Duration);

impl Display for Up {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
        if days > 0 {
            write!(f, "{days} d ")?;
        }
        write!(f, "{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60)
    }
}

/// Text of others as text of the page, also between quotes. Names hold nothing that this would change;
/// but who changes what a name may be should not have to think of this page.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of one stream that is called so.
    fn page_of(path: &str) -> String {
        let client = Client {
            address: path.to_owned(),
            what: path.to_owned(),
            id: path.to_owned(),
            kick: path.to_owned(),
            ..Client::default()
        };
        let stream = Stream {
            path: path.to_owned(),
            from: Some(path.to_owned()),
            video: Some(Video {
                codec: path.to_owned(),
                ..Video::default()
            }),
            audio: Some(Audio {
                codec: path.to_owned(),
                ..Audio::default()
            }),
            hls: Some(true),
            flv: true,
            clients: Some(vec![client]),
            ..Stream::default()
        };
        page(&View {
            streams: vec![stream],
            ..View::default()
        })
    }

    #[test]
    fn no_text_is_markup() {
        let hostile = "</th><script>'\"&";
        let page = page_of(hostile);
        let times = page
            .matches("&lt;/th&gt;&lt;script&gt;&#39;&quot;&amp;")
            .count();
        assert_eq!(times, page_of("NAME").matches("NAME").count());
        assert!(!page.contains(hostile));
        assert_eq!(page.matches("<script").count(), 1);
    }

    #[test]
    fn figures_are_shown_with_their_units() {
        let stream = Stream {
            path: "live/name".to_owned(),
            others: vec![2, 3],
            up: Duration::from_secs(93_784),
            video: Some(Video {
                codec: "H.264".to_owned(),
                size: Some((1280, 720)),
                rate: Some(29.97),
            }),
            audio: Some(Audio {
                codec: "AAC".to_owned(),
                rate: Some(44_100),
                channels: Some(2),
            }),
            kbps: 900,
            hls: Some(false),
            ..Stream::default()
        };
        let page = page(&View {
            streams: vec![stream],
            more: 7,
            ..View::default()
        });
        for shown in [
            "also 2, 3",
            "1 d 2:03:04",
            "1280×720",
            "30.0 frames/s",
            "44100 Hz",
            "stereo",
            "data-value=\"900\"",
            "HLS cannot be written",
            "And 7 more.",
        ] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
        assert!(!page.contains("data-play"), "{page}");
    }

    #[test]
    fn an_empty_page_says_so_in_words() {
        assert!(page(&View::default()).contains("Nothing is live."));
    }
}
