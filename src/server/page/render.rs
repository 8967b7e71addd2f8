//! What processes do, as a page that is whole without a script. The script only asks for it again.

use core::fmt::{self, Display, Write as _};
use core::time::Duration;
use std::collections::BTreeMap;

use super::assets;
use super::row::Row;
use crate::limits;
use crate::server::overview::{Overview, StreamView};

/// What the page is made of.
#[derive(Debug)]
pub(super) struct Page<'a> {
    /// The id of the process that answers.
    pub(super) own: &'a str,
    /// Those that share the port, by number.
    pub(super) processes: &'a [Overview],
    /// Numbers of those that say nothing; 0 if that is not known.
    pub(super) silent: &'a [u32],
    /// Vhosts whose streams are served as HTTP-FLV.
    pub(super) remuxed: &'a [&'a str],
    /// Whether processes and clients are shown, and these can be ended.
    pub(super) manages: bool,
}

impl Page<'_> {
    /// The whole of it.
    pub(super) fn render(&self) -> String {
        let mut out = String::with_capacity(8192);
        // Writing to a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> fmt::Result {
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
        if self.manages {
            self.write_processes(out)?;
        }
        self.write_streams(out)?;
        write!(
            out,
            "</main>\n<footer>srs-lite {} · players: hls.js and mpegts.js, \
             <a href=\"{}\">their licences</a></footer>\n</body>\n</html>\n",
            env!("CARGO_PKG_VERSION"),
            assets::LICENCES,
        )
    }

    fn write_processes(&self, out: &mut String) -> fmt::Result {
        out.push_str("<section id=\"processes\">\n<h2>Processes of this port</h2>\n");
        let titles = [
            "Process",
            "Up",
            "Connections",
            "Streams",
            "kbit/s in",
            "kbit/s out",
        ];
        begin_table(out, titles)?;
        for one in self.processes {
            let note = if one.id == self.own {
                "<small>made this page</small>"
            } else {
                ""
            };
            let (id, process) = (Escaped(&one.id), one.process);
            write!(
                out,
                "<tr id=\"{id}\"><th scope=\"row\">{process}{note}</th>"
            )?;
            cell(out, "Up", Up(one.uptime))?;
            cell(out, "Connections", one.connections)?;
            let listed = one.streams.iter().filter(is_listed);
            cell(out, "Streams", listed.count())?;
            cell(out, "kbit/s in", Figure(one.received_kbps))?;
            cell(out, "kbit/s out", Figure(one.sent_kbps))?;
            out.push_str("</tr>");
        }
        for process in self.silent {
            write!(
                out,
                "<tr id=\"silent-{process}\"><th scope=\"row\">{process}</th>\
                 <td colspan=\"5\" class=\"bad\">does not answer</td></tr>"
            )?;
        }
        out.push_str("</tbody>\n</table>\n</section>\n");
        Ok(())
    }

    fn write_streams(&self, out: &mut String) -> fmt::Result {
        out.push_str("<section id=\"streams\">\n<h2>Live streams</h2>\n");
        let rows = self.rows();
        if rows.is_empty() {
            out.push_str(
                "<p class=\"none\">Nothing is live. A stream is listed as soon as it is published, \
                 or fetched for a player.</p>\n</section>\n",
            );
            return Ok(());
        }
        let place = if self.manages { "Process" } else { "Source" };
        let titles = [
            "Stream", place, "Up", "Video", "Audio", "kbit/s", "Players", "Dropped", "Watch",
        ];
        begin_table(out, titles)?;
        let mut clients = limits::MAX_LISTED_CLIENTS;
        for row in rows.values().take(limits::MAX_LISTED_STREAMS) {
            row.write(out, self)?;
            if self.manages {
                row.write_clients(out, &mut clients)?;
            }
        }
        out.push_str("</tbody>\n</table>\n");
        let more = rows.len().saturating_sub(limits::MAX_LISTED_STREAMS);
        if more > 0 {
            writeln!(out, "<p class=\"none\">And {more} more.</p>")?;
        }
        out.push_str("</section>\n");
        Ok(())
    }

    /// One for each stream, whichever processes have it.
    fn rows(&self) -> BTreeMap<[&str; 3], Row<'_>> {
        let mut rows: BTreeMap<[&str; 3], Row<'_>> = BTreeMap::new();
        for process in self.processes {
            for stream in process.streams.iter().filter(is_listed) {
                let path = [&*stream.vhost, &*stream.app, &*stream.name];
                match rows.get_mut(&path) {
                    Some(row) => row.add(process, stream),
                    None => {
                        rows.insert(path, Row::new(process, stream));
                    }
                }
            }
        }
        rows
    }
}

/// Whether it is live, or on its way to where it will be.
fn is_listed(stream: &&StreamView) -> bool {
    stream.live.is_some() || stream.publisher.is_some()
}

/// A table up to its first row.
pub(super) fn begin_table<const N: usize>(out: &mut String, titles: [&str; N]) -> fmt::Result {
    out.push_str("<table>\n<thead><tr>");
    for title in titles {
        write!(out, "<th scope=\"col\">{title}</th>")?;
    }
    out.push_str("</tr></thead>\n<tbody>");
    Ok(())
}

/// One value, with the title of its column for where there is no room for columns.
pub(super) fn cell(out: &mut String, title: &str, value: impl Display) -> fmt::Result {
    write!(out, "<td data-title=\"{title}\"><div>{value}</div></td>")
}

/// A number of which the script draws what it was.
pub(super) struct Figure(pub(super) u64);

impl Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = self;
        write!(
            f,
            "{value}<span class=\"spark\" data-value=\"{value}\"></span>"
        )
    }
}

/// Seconds as `1:02:03`, after as many days as there are.
pub(super) struct Up(pub(super) f64);

impl Display for Up {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Duration::try_from_secs_f64(self.0)
            .unwrap_or_default()
            .as_secs();
        let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
        if days > 0 {
            write!(f, "{days} d ")?;
        }
        write!(f, "{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60)
    }
}

/// Text of others as text of the page, also between quotes. Names hold nothing that this would change;
/// but who changes what a name may be should not have to think of this page.
pub(super) struct Escaped<'a>(pub(super) &'a str);

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
    use crate::config::DEFAULT_VHOST;
    use crate::server::overview::{ClientView, LinkView};
    use crate::wire::codec::{Audio, Video};

    fn stream(vhost: &str, name: &str) -> StreamView {
        StreamView {
            vhost: vhost.to_owned(),
            app: "live".to_owned(),
            name: name.to_owned(),
            live: Some(93_784.5),
            ..StreamView::default()
        }
    }

    fn process(process: u32, streams: Vec<StreamView>) -> Overview {
        Overview {
            process,
            id: format!("id{process}"),
            streams,
            ..Overview::default()
        }
    }

    fn page(processes: &[Overview]) -> String {
        page_for(true, processes)
    }

    fn page_for(manages: bool, processes: &[Overview]) -> String {
        let page = Page {
            own: "id12",
            processes,
            silent: &[13],
            remuxed: &[DEFAULT_VHOST, "one.example"],
            manages,
        };
        page.render()
    }

    /// A page on which every text of others is this.
    fn page_of(text: &str) -> String {
        let text = || text.to_owned();
        let link = Some(LinkView { at: Some(text()) });
        let mut one = process(
            1,
            vec![StreamView {
                id: text(),
                vhost: text(),
                app: text(),
                name: text(),
                live: Some(1.0),
                publisher: Some(text()),
                pull: link.clone(),
                forward: link,
                hls: Some(true),
                video: Some(Video {
                    codec: text(),
                    profile: text(),
                    level: text(),
                    ..Video::default()
                }),
                audio: Some(Audio {
                    codec: text(),
                    profile: text(),
                    ..Audio::default()
                }),
                ..StreamView::default()
            }],
        );
        one.id = text();
        one.clients = vec![ClientView {
            id: text(),
            peer: text(),
            kind: text(),
            stream: text(),
            ..ClientView::default()
        }];
        page(&[one])
    }

    #[test]
    fn no_text_is_markup() {
        let hostile = "</th><script>'\"&";
        let page = page_of(hostile);
        let escaped = "&lt;/th&gt;&lt;script&gt;&#39;&quot;&amp;";
        let times = page.matches(escaped).count();
        assert!(times > 15, "{times}: {page}");
        assert_eq!(times, page_of("NAME").matches("NAME").count());
        assert!(!page.contains(hostile));
        assert_eq!(page.matches("<script").count(), 1);
    }

    #[test]
    fn a_stream_of_several_processes_is_one_row() {
        let published = StreamView {
            publisher: Some("p".to_owned()),
            received_kbps: 900,
            players: 3,
            skipped: 5,
            hls: Some(false),
            ..stream(DEFAULT_VHOST, "a")
        };
        let fetched = StreamView {
            pull: Some(LinkView { at: None }),
            received_kbps: 890,
            players: 4,
            skipped: 6,
            ..stream(DEFAULT_VHOST, "a")
        };
        let page = page(&[process(11, vec![fetched]), process(12, vec![published])]);
        assert_eq!(page.matches("<tr id=\"stream-live/a\">").count(), 1);
        for shown in [
            ">12<small>also 11</small>",
            "1 d 2:03:04",
            "data-value=\"900\"",
            "data-value=\"7\"",
            "<div>11</div>",
            "HLS cannot be written",
            "href=\"/live/a.flv\"",
        ] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
        assert!(!page.contains("looking"), "{page}");
    }

    #[test]
    fn vhosts_are_told_apart() {
        let page = page(&[process(
            1,
            ["one.example", "two.example", DEFAULT_VHOST]
                .map(|vhost| stream(vhost, "a"))
                .into(),
        )]);
        assert!(page.contains("href=\"/live/a.flv\""), "{page}");
        assert!(
            page.contains("href=\"/live/a.flv?vhost=one.example\""),
            "{page}"
        );
        assert!(page.contains("<th scope=\"row\">one.example/live/a</th>"));
        assert!(page.contains("<th scope=\"row\">two.example/live/a</th>"));
        assert_eq!(page.matches(".flv").count(), 2, "{page}");
    }

    #[test]
    fn a_viewer_sees_no_processes_and_no_addresses() {
        let at = |at: Option<&str>| LinkView {
            at: at.map(str::to_owned),
        };
        let fetched = StreamView {
            pull: Some(at(Some("origin 10.0.0.1:1935"))),
            ..stream(DEFAULT_VHOST, "fetched")
        };
        let sought = StreamView {
            forward: Some(at(None)),
            ..stream(DEFAULT_VHOST, "sought")
        };
        let streams = vec![fetched, sought, stream(DEFAULT_VHOST, "own")];
        let processes = [process(12, streams), process(14, Vec::new())];
        let [managing, public] = [true, false].map(|manages| page_for(manages, &processes));
        for known in [
            "10.0.0.1",
            ">12<small>made this page",
            ">13</th>",
            "does not answer",
            "id=\"id14\"",
            "<summary>",
        ] {
            assert!(managing.contains(known), "{known}: {managing}");
            assert!(!public.contains(known), "{known}: {public}");
        }
        for source in ["an origin", "no origin yet", "this server"] {
            assert_eq!(public.matches(source).count(), 1, "{source}: {public}");
        }
    }

    #[test]
    fn what_is_not_live_is_not_listed() {
        let gone = StreamView {
            live: None,
            ..stream(DEFAULT_VHOST, "gone")
        };
        let page = page(&[process(1, vec![gone])]);
        assert!(page.contains("Nothing is live."), "{page}");
        assert!(!page.contains("gone"));
    }

    #[test]
    fn clients_are_listed_up_to_the_limit() {
        let client = |number| ClientView {
            id: format!("c{number}"),
            stream: "s".to_owned(),
            ..ClientView::default()
        };
        let mut one = process(1, vec![stream(DEFAULT_VHOST, "a")]);
        one.streams[0].id = "s".to_owned();
        one.clients = (0..limits::MAX_LISTED_CLIENTS).map(client).collect();
        let count = |page: &str| page.matches("data-kick").count();
        assert_eq!(count(&page(&[one.clone()])), limits::MAX_LISTED_CLIENTS);
        one.clients.push(client(limits::MAX_LISTED_CLIENTS));
        let page = page(&[one]);
        assert_eq!(count(&page), limits::MAX_LISTED_CLIENTS);
        assert!(page.contains("And 1 more."), "{page}");
    }
}
