//! One stream of the page.

use core::fmt::{self, Display, Write as _};

use super::render::{Escaped, Figure, Page, Up, begin_table, cell};
use crate::config::DEFAULT_VHOST;
use crate::server::overview::{LinkView, Overview, StreamView};

/// A stream, at the processes that have it.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// Where it comes in first.
    process: &'a Overview,
    stream: &'a StreamView,
    /// Where else it is.
    others: Vec<(&'a Overview, &'a StreamView)>,
}

impl<'a> Row<'a> {
    /// Of a stream that one process has.
    pub(super) const fn new(process: &'a Overview, stream: &'a StreamView) -> Self {
        Self {
            process,
            stream,
            others: Vec::new(),
        }
    }

    /// Another process has it, too.
    pub(super) fn add(&mut self, process: &'a Overview, stream: &'a StreamView) {
        let rank = |stream: &StreamView| (stream.publisher.is_none(), stream.pull.is_some());
        let (mut process, mut stream) = (process, stream);
        if rank(stream) < rank(self.stream) {
            core::mem::swap(&mut process, &mut self.process);
            core::mem::swap(&mut stream, &mut self.stream);
        }
        self.others.push((process, stream));
    }

    /// The row.
    pub(super) fn write(&self, out: &mut String, page: &Page<'_>) -> fmt::Result {
        let stream = self.stream;
        let path = Path(stream);
        write!(
            out,
            "<tr id=\"stream-{path}\"><th scope=\"row\">{path}</th>"
        )?;
        if page.manages {
            self.write_where(out)?;
        } else {
            cell(out, "Source", self.source())?;
        }
        cell(out, "Up", Up(stream.live.unwrap_or_default()))?;
        write_media(out, stream)?;
        cell(out, "kbit/s", Figure(stream.received_kbps))?;
        cell(out, "Players", Figure(self.sum(|stream| stream.players)))?;
        cell(out, "Dropped", self.sum(|stream| stream.skipped))?;
        self.write_links(out, page.remuxed.contains(&&*stream.vhost))?;
        out.push_str("</tr>");
        Ok(())
    }

    fn all(&self) -> impl Iterator<Item = (&'a Overview, &'a StreamView)> {
        let first = core::iter::once((self.process, self.stream));
        first.chain(self.others.iter().copied())
    }

    fn sum(&self, of: impl Fn(&StreamView) -> u64) -> u64 {
        self.all()
            .fold(0, |sum, (_, stream)| sum.saturating_add(of(stream)))
    }

    /// What a viewer may know of where it comes from.
    fn source(&self) -> &'static str {
        let links = [&self.stream.pull, &self.stream.forward];
        let is_sought = |link: &LinkView| link.at.is_none();
        let is_origins =
            |link: &LinkView| link.at.as_ref().is_some_and(|at| at.starts_with("origin "));
        if links.into_iter().flatten().any(is_sought) {
            "<small class=\"bad\">no origin yet</small>"
        } else if self.stream.pull.as_ref().is_some_and(is_origins) {
            "an origin"
        } else {
            "this server"
        }
    }

    fn write_where(&self, out: &mut String) -> fmt::Result {
        let process = self.process.process;
        write!(out, "<td data-title=\"Process\"><div>{process}")?;
        let mut before = "<small>also ";
        for (other, _) in &self.others {
            write!(out, "{before}{}", other.process)?;
            before = ", ";
        }
        if !self.others.is_empty() {
            out.push_str("</small>");
        }
        for (way, link) in [("from", &self.stream.pull), ("to", &self.stream.forward)] {
            match link.as_ref().map(|link| &link.at) {
                Some(Some(at)) => write!(out, "<small>{way} {}</small>", Escaped(at))?,
                Some(None) => out.push_str("<small class=\"bad\">no origin yet</small>"),
                None => {}
            }
        }
        out.push_str("</div></td>");
        Ok(())
    }

    /// How a browser can play it. `remux`: as HTTP-FLV, too.
    fn write_links(&self, out: &mut String, remux: bool) -> fmt::Result {
        out.push_str("<td data-title=\"Watch\"><div>");
        let hls = self.all().filter_map(|(_, stream)| stream.hls).max();
        match hls {
            Some(true) => self.write_link(out, "m3u8", "HLS")?,
            Some(false) => out.push_str("<small class=\"bad\">HLS cannot be written</small>"),
            None => {}
        }
        if remux {
            self.write_link(out, "flv", "FLV")?;
        }
        if hls.is_none() && !remux {
            out.push_str("<small>RTMP only</small>");
        }
        out.push_str("</div></td>");
        Ok(())
    }

    fn write_link(&self, out: &mut String, suffix: &str, format: &str) -> fmt::Result {
        let StreamView {
            vhost, app, name, ..
        } = self.stream;
        let (path, app, name) = (Path(self.stream), Escaped(app), Escaped(name));
        write!(out, "<a href=\"/{app}/{name}.{suffix}")?;
        if vhost != DEFAULT_VHOST {
            write!(out, "?vhost={}", Escaped(vhost))?;
        }
        write!(
            out,
            "\" data-play=\"{suffix}\" aria-label=\"Play {path}, {format}\">{format}</a> "
        )
    }

    /// A row with its clients; `most` in all rows that are still to come.
    pub(super) fn write_clients(&self, out: &mut String, most: &mut usize) -> fmt::Result {
        let path = Path(self.stream);
        let mut clients = Vec::new();
        for (process, stream) in self.all() {
            let of_it = process.clients.iter();
            let of_it = of_it.filter(|client| client.stream == stream.id);
            clients.extend(of_it.map(|client| (process, client)));
        }
        write!(
            out,
            "<tr id=\"clients-{path}\" class=\"clients\"><td colspan=\"9\"><details>\
             <summary>Clients of {path}: {}</summary>",
            clients.len()
        )?;
        let titles = ["Client", "Process", "What", "Up", "kbit/s", "End"];
        begin_table(out, titles)?;
        let listed = clients.len().min(*most);
        for (process, client) in clients.iter().take(listed) {
            let (id, peer) = (Escaped(&client.id), Escaped(&client.peer));
            write!(out, "<tr id=\"client-{id}\"><th scope=\"row\">{peer}</th>")?;
            cell(out, "Process", process.process)?;
            cell(out, "What", Escaped(&client.kind))?;
            cell(out, "Up", Up(client.alive))?;
            let kbps = client.received_kbps.max(client.sent_kbps);
            cell(out, "kbit/s", kbps)?;
            let button = format_args!(
                "<button type=\"button\" data-kick=\"/api/v1/clients/{id}?all=1\" \
                 aria-label=\"End {peer}\">End</button>"
            );
            cell(out, "End", button)?;
            out.push_str("</tr>");
        }
        out.push_str("</tbody>\n</table>");
        let more = clients.len().saturating_sub(listed);
        if more > 0 {
            write!(out, "<p class=\"none\">And {more} more.</p>")?;
        }
        out.push_str("</details></td></tr>");
        *most = most.saturating_sub(listed);
        Ok(())
    }
}

/// Its video and its audio.
fn write_media(out: &mut String, stream: &StreamView) -> fmt::Result {
    out.push_str("<td data-title=\"Video\"><div>");
    match &stream.video {
        None => out.push_str("none"),
        Some(video) => {
            write!(out, "{}", Escaped(&video.codec))?;
            let (width, height) = (video.width, video.height);
            if width > 0 {
                write!(out, " {width}×{height}")?;
            }
            write!(out, "<small>{:.1} frames/s</small>", stream.fps)?;
        }
    }
    out.push_str("</div></td><td data-title=\"Audio\"><div>");
    match &stream.audio {
        None => out.push_str("none"),
        Some(audio) => {
            write!(out, "{}", Escaped(&audio.codec))?;
            if audio.sample_rate > 0 {
                write!(out, " {} Hz", audio.sample_rate)?;
            }
            match audio.channels {
                0 => {}
                1 => out.push_str("<small>mono</small>"),
                2 => out.push_str("<small>stereo</small>"),
                more => write!(out, "<small>{more} channels</small>")?,
            }
        }
    }
    out.push_str("</div></td>");
    Ok(())
}

/// `app/name`, after its vhost if that has a name.
struct Path<'a>(&'a StreamView);

impl Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamView {
            vhost, app, name, ..
        } = self.0;
        if vhost != DEFAULT_VHOST {
            write!(f, "{}/", Escaped(vhost))?;
        }
        write!(f, "{}/{}", Escaped(app), Escaped(name))
    }
}
