//! Failures on demand, for tests of what they may harm.

use std::sync::{Mutex, PoisonError};

/// Where a failure can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// In a sender's round.
    Sender,
    /// On a publisher's thread.
    Publisher,
    /// Where a sender is started.
    Start,
}

static ARMED: Mutex<Vec<(Place, String)>> = Mutex::new(Vec::new());

/// The next time that `place` of the stream at `path` is passed, it fails.
pub(crate) fn arm(place: Place, path: &str) {
    let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
    armed.push((place, path.to_owned()));
}

/// Panics if that was asked for.
pub(crate) fn maybe_panic(place: Place, path: &str) {
    assert!(!fires(place, path), "asked for");
}

/// Whether a failure was asked for: once.
pub(crate) fn fires(place: Place, path: &str) -> bool {
    let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
    let index = armed.iter().position(|(p, s)| *p == place && s == path);
    index.map(|index| armed.swap_remove(index)).is_some()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::config::{Cluster, Config, Mode, OriginAddress};
    use crate::limits;
    use crate::server::capacity;
    use crate::server::connection::{deadline, set_options};
    use crate::server::edge::origin::Upstream;
    use crate::server::edge::{Edge, Source};
    use crate::server::port::{Listener, Protocol};
    use crate::server::{Running, start};
    use crate::session::action::chunks;
    use crate::session::client::{ClientRequest, Event, Purpose};
    use crate::session::server::Via;
    use crate::wire::message::{RawMessage, type_id};

    const KEYFRAME: &[u8] = &[0x17, 1, 0, 0, 0];

    struct Site {
        running: Running,
        edge: Edge,
    }

    impl Site {
        fn start(more: &str) -> Self {
            let config = Config::parse(&format!("listen = 1\n{more}"), "test").unwrap();
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = listener.local_addr().unwrap();
            let options = socket2::SockRef::from(&listener);
            options.set_read_timeout(Some(limits::ACCEPT_POLL)).unwrap();
            set_options(&options).unwrap();
            let origin = OriginAddress {
                host: address.ip().to_string(),
                port: address.port(),
            };
            let cluster = Cluster {
                mode: Mode::Remote,
                origins: vec![origin],
                redirects: Vec::new(),
                token_traverse: false,
                vhost: Cluster::SAME_VHOST.to_owned(),
            };
            let mut of_edge = config.clone();
            of_edge.default_vhost.cluster = cluster;
            let allowed = capacity::allow(capacity::find(), &config);
            let listening = Listener {
                listener: listener.into(),
                address,
                protocol: Protocol::Rtmp,
            };
            Self {
                running: start(config, vec![listening], None, &allowed).unwrap(),
                edge: Edge::new(&of_edge, Vec::new()),
            }
        }

        fn open(&self, purpose: Purpose, stream: &str) -> Upstream {
            let request = ClientRequest {
                purpose,
                host: String::new(),
                vhost: None,
                app: "live".to_owned(),
                stream: stream.to_owned(),
                via: Via::default(),
            };
            let (origin, patience) = self.edge.round(None).remove(0);
            let server = &self.running.server;
            let open = |address: &OriginAddress| {
                let source = (Source::Origin(address), patience);
                Upstream::open(server, &self.edge, source, &request)
            };
            let (upstream, _) = self.edge.follow((None, &origin), open).unwrap();
            upstream
        }
    }

    /// Publishes one keyframe with this `number`.
    fn publish(publisher: &Upstream, number: u8) {
        let message = RawMessage {
            type_id: type_id::VIDEO,
            timestamp: u32::from(number),
            message_stream_id: 1,
            payload: Bytes::from([KEYFRAME, &[number]].concat()),
        };
        let until = deadline(Duration::from_secs(5));
        publisher
            .connection
            .write(&chunks(&message), until)
            .unwrap();
    }

    /// The number of the next frame; `None` if the connection ends.
    fn next(player: &mut Upstream) -> Option<u8> {
        let until = deadline(Duration::from_secs(20));
        let mut buffer = [0; 4096];
        loop {
            if let Some(event) = player.event() {
                let Event::Deliver(media) = event else {
                    continue;
                };
                return media.payload.last().copied();
            }
            match player.connection.read(&mut buffer, until) {
                Ok(0) => return None,
                Ok(length) => player.received(&buffer[..length]).unwrap(),
                Err(error) => {
                    assert_ne!(error.kind(), std::io::ErrorKind::TimedOut, "still waiting");
                    return None;
                }
            }
        }
    }

    #[test]
    fn a_panic_harms_one_stream_only() {
        let site = Site::start("");
        let [x, y] = ["x", "y"].map(|name| site.open(Purpose::Publish, name));
        let [mut at_x, mut at_y] = ["x", "y"].map(|name| site.open(Purpose::Play, name));
        publish(&x, 1);
        publish(&y, 1);
        assert_eq!((next(&mut at_x), next(&mut at_y)), (Some(1), Some(1)));

        arm(Place::Sender, "live/x");
        publish(&x, 2);
        assert_eq!(next(&mut at_x), None, "its sender is gone");
        publish(&y, 2);
        assert_eq!(next(&mut at_y), Some(2), "another stream goes on");
        let mut again = site.open(Purpose::Play, "x");
        assert_eq!(next(&mut again), Some(2), "from the cache");
        publish(&x, 3);
        assert_eq!(next(&mut again), Some(3), "from another sender");

        arm(Place::Publisher, "live/y");
        publish(&y, 3);
        let mut buffer = [0; 1];
        let ended = loop {
            match y
                .connection
                .read(&mut buffer, deadline(Duration::from_secs(20)))
            {
                Ok(1..) => {}
                other => break other,
            }
        };
        assert!(matches!(ended, Ok(0) | Err(_)), "its thread is gone");
        publish(&x, 4);
        assert_eq!(next(&mut again), Some(4), "another stream goes on");
        let y = site.open(Purpose::Publish, "y");
        publish(&y, 4);
        assert_eq!(next(&mut at_y), Some(4), "its player was kept");
        site.running.stop();
    }

    #[test]
    fn a_sender_that_cannot_start_costs_its_player_only() {
        let site = Site::start("");
        let x = site.open(Purpose::Publish, "start");
        publish(&x, 1);
        arm(Place::Start, "live/start");
        let mut unlucky = site.open(Purpose::Play, "start");
        while next(&mut unlucky).is_some() {}
        let mut player = site.open(Purpose::Play, "start");
        assert_eq!(next(&mut player), Some(1), "from the cache");
        publish(&x, 2);
        assert_eq!(next(&mut player), Some(2));
        drop(x);
        let x = site.open(Purpose::Publish, "start");
        publish(&x, 3);
        assert_eq!(next(&mut player), Some(3), "from another publisher");
        site.running.stop();
    }

    /// Answers so many requests of a hook with yes; the actions that these were about.
    #[cfg(feature = "hooks")]
    fn heard(hook: &TcpListener, count: usize) -> Vec<String> {
        use std::io::{Read, Write};

        let options = socket2::SockRef::from(hook);
        let far = Some(Duration::from_secs(20));
        options.set_read_timeout(far).unwrap();
        let request = || {
            let (mut socket, _) = hook.accept().unwrap();
            let mut text = String::new();
            let mut buffer = [0; 4096];
            while !text.ends_with('}') {
                let length = socket.read(&mut buffer).unwrap();
                text.push_str(str::from_utf8(&buffer[..length]).unwrap());
            }
            socket.write_all(b"HTTP/1.0 200 OK\r\n\r\n0").unwrap();
            let (_, action) = text.split_once("\"action\":\"").unwrap();
            action.split('"').next().unwrap().to_owned()
        };
        (0..count).map(|_| request()).collect()
    }

    #[cfg(feature = "hooks")]
    #[test]
    fn hooks_hear_of_the_end_of_a_publisher_whose_thread_panics() {
        let hook = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let actions = ["on_connect", "on_publish", "on_unpublish", "on_close"];
        let url = format!("http://{}/", hook.local_addr().unwrap());
        let line = |action| format!("http_hooks.{action} = \"{url}\"\n");
        let lines: String = actions.map(line).concat();
        let site = Site::start(&format!("http_hooks.enabled = true\n{lines}"));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                // The second time the name is free again.
                let asked = scope.spawn(|| heard(&hook, 2));
                let publisher = site.open(Purpose::Publish, "hooks");
                assert_eq!(asked.join().unwrap(), actions[..2]);
                arm(Place::Publisher, "live/hooks");
                publish(&publisher, 1);
                assert_eq!(heard(&hook, 2), actions[2..]);
            }
        });
        site.running.stop();
    }
}
