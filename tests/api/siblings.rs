//! All processes of a port, asked through one of them.

use serde_json::Value;

use crate::support::eventually;
use crate::support::peer::publishing;
use crate::support::server::Server;
use crate::support::siblings::{Feed, Meeting, Viewer};
use crate::{CONFIG, ask, json};

fn all(server: &Server, name: &str) -> Value {
    json(
        server.api_address(),
        &format!("/api/v1/{name}?all=1&count=1000"),
    )
}

fn pids(reply: &Value) -> Vec<String> {
    let processes = reply["processes"].as_array().unwrap();
    let pid = |one: &Value| one["pid"].as_str().unwrap().to_owned();
    processes.iter().map(pid).collect()
}

fn one_of(reply: &Value, list: &str, pid: u32) -> Option<Value> {
    let pid = pid.to_string();
    let is_it = |one: &&Value| one["process"] == pid.as_str();
    reply[list].as_array().unwrap().iter().find(is_it).cloned()
}

#[test]
fn one_process_answers_for_all_and_ends_clients_of_others() {
    let meeting = Meeting::new();
    let [one, other] = meeting.servers(CONFIG);
    let _feed = Feed::start(vec![publishing(one.address(), "a")]);
    // A player at the other: that fetches the stream from the first.
    let mut viewer = Viewer::rtmp(other.address(), "a");
    viewer.frame();
    eventually("both have it", || {
        let reply = all(&one, "streams");
        one_of(&reply, "streams", other.id()).is_some_and(|stream| stream["players"] == 1)
    });
    let reply = all(&one, "streams");
    let mut known = pids(&reply);
    known.sort();
    let mut expected = [one.id().to_string(), other.id().to_string()];
    expected.sort();
    assert_eq!(known, expected);
    let source = one_of(&reply, "streams", one.id()).unwrap();
    assert_eq!(source["players"], 0, "a sibling is no player");
    assert_eq!(source["clients"], 1);
    let pulled = one_of(&reply, "streams", other.id()).unwrap();
    assert_eq!(
        pulled["pull"]["at"],
        format!("process {}", one.id()).as_str()
    );
    assert_ne!(source["id"], pulled["id"]);

    let player = one_of(&all(&one, "clients"), "clients", other.id()).unwrap();
    let path = format!("/api/v1/clients/{}", player["id"].as_str().unwrap());
    let at = one.api_address();
    assert_eq!(ask(at, &format!("DELETE {path}"), "").status, 404);
    assert_eq!(
        json(at, &format!("{path}?all=1"))["client"]["id"],
        player["id"]
    );
    assert_eq!(ask(at, &format!("DELETE {path}?all=1"), "").status, 200);
    other.wait_log("the operator ended it");

    other.kill();
    eventually("a dead one is left out", || {
        pids(&all(&one, "streams")).len() == 1
    });
}

/// An edge that forwards what is published to it, and one that pulls.
#[test]
fn an_edge_says_where_streams_come_from_and_go() {
    let origin = Server::origin("");
    let api = "[http_api]\nenabled = true\nlisten = \"127.0.0.1:0\"\n";
    let edge = Server::edge(&[origin.address()], api);
    let feed = Feed::start(vec![publishing(edge.address(), "a")]);
    let stream = || -> Value {
        let reply = json(edge.api_address(), "/api/v1/streams");
        reply["streams"].get(0).cloned().unwrap_or_default()
    };
    let at = format!("origin {}", origin.address());
    eventually("it goes there", || stream()["forward"]["at"] == at.as_str());
    assert_eq!(stream()["pull"], Value::Null);
    let mut viewer = Viewer::rtmp(edge.address(), "a");
    viewer.frame();
    eventually("it comes from there", || {
        stream()["pull"]["at"] == at.as_str()
    });
    assert!(stream()["publish"]["cid"].is_string());
    origin.kill();
    eventually("it is looked for", || {
        let stream = stream();
        stream["pull"].is_object() && stream["pull"]["at"].is_null()
    });
    drop(feed);
}
