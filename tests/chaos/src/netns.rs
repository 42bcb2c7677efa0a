//! Two network namespaces with a link between them, which can be cut. They are gone when the value is dropped, and what a
//! run that was killed has left is gone with the next one.

use std::process::Command;

/// The broker's side and its peers' side.
const NEAR: &str = "10.213.77.1";
const FAR: &str = "10.213.77.2";
const PREFIX: &str = "mdp-chaos-";

/// How the link is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Nothing passes, and the system knows it.
    Down,
    /// What the peers send is lost.
    FromPeers,
    /// What the broker sends is lost.
    FromBroker,
}

pub(crate) struct NetworkLink {
    near: String,
    far: String,
}

impl NetworkLink {
    /// Two namespaces and a link that is up; or why there are none.
    pub(crate) fn new() -> Result<Self, String> {
        remove_old();
        let name = format!("{PREFIX}{}-", std::process::id());
        let link = NetworkLink { near: format!("{name}b"), far: format!("{name}p") };
        let (near, far) = (&link.near, &link.far);
        for namespace in [near, far] {
            ip(&["netns", "add", namespace])?;
        }
        ip(&[
            "link", "add", "near", "netns", near, "type", "veth", "peer", "name", "far", "netns",
            far,
        ])?;
        for (namespace, device, address) in [(near, "near", NEAR), (far, "far", FAR)] {
            ip(&["-n", namespace, "addr", "add", &format!("{address}/30"), "dev", device])?;
            ip(&["-n", namespace, "link", "set", device, "up"])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        Ok(link)
    }

    /// What to put before a program on the broker's side.
    pub(crate) fn near(&self) -> Vec<String> {
        within(&self.near)
    }

    /// What to put before a program on the other side.
    pub(crate) fn far(&self) -> Vec<String> {
        within(&self.far)
    }

    pub(crate) fn cut(&self, how: Cut) {
        match how {
            Cut::Down => ip(&["-n", &self.near, "link", "set", "near", "down"]),
            Cut::FromPeers => ip(&["-n", &self.far, "route", "add", "blackhole", NEAR]),
            Cut::FromBroker => ip(&["-n", &self.near, "route", "add", "blackhole", FAR]),
        }
        .unwrap();
    }

    pub(crate) fn heal(&self, how: Cut) {
        match how {
            Cut::Down => ip(&["-n", &self.near, "link", "set", "near", "up"]),
            Cut::FromPeers => ip(&["-n", &self.far, "route", "del", "blackhole", NEAR]),
            Cut::FromBroker => ip(&["-n", &self.near, "route", "del", "blackhole", FAR]),
        }
        .unwrap();
    }
}

impl Drop for NetworkLink {
    fn drop(&mut self) {
        for namespace in [&self.near, &self.far] {
            // It may never have been made.
            let _ = ip(&["netns", "del", namespace]);
        }
    }
}

/// Where the broker is found from both sides.
pub(crate) fn address() -> &'static str {
    NEAR
}

fn within(namespace: &str) -> Vec<String> {
    ["ip", "netns", "exec", namespace].map(String::from).to_vec()
}

/// Namespaces of processes that are gone.
fn remove_old() {
    let Ok(list) = Command::new("ip").args(["netns", "list"]).output() else { return };
    for name in
        String::from_utf8_lossy(&list.stdout).lines().filter_map(|line| line.split(' ').next())
    {
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|id| !std::path::Path::new(&format!("/proc/{id}")).exists()) {
            let _ = ip(&["netns", "del", name]);
        }
    }
}

fn ip(args: &[&str]) -> Result<(), String> {
    let said = Command::new("ip").args(args).output();
    let said = said.map_err(|error| format!("`ip` of iproute2 cannot be run: {error}"))?;
    match said.status.success() {
        true => Ok(()),
        false => {
            let why = String::from_utf8_lossy(&said.stderr);
            Err(format!("`ip {}`, which takes root: {}", args.join(" "), why.trim()))
        }
    }
}
