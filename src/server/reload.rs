//! The configuration, at start and when its file is read again.

use std::fs;
use std::path::PathBuf;

use log::{error, info, warn};

use crate::config::{Config, ConfigError, Values};
use crate::server::Running;
use crate::server::capacity::{self, Allowed, Found};

/// The file that the configuration is from, and what it said last.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    values: Values,
    found: Found,
    /// What was said of `max_connections`.
    lowered: Option<String>,
}

impl Source {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// Its first mistake, or why it cannot be read.
    pub fn open(path: PathBuf) -> Result<(Self, Config), ConfigError> {
        let (config, values) = Config::load_values(&path)?;
        let source = Self {
            path,
            values,
            found: Found::default(),
            lowered: None,
        };
        Ok((source, config))
    }

    /// Sees what the system allows, and lowers `config` to that, with a warning.
    pub fn allow(&mut self, config: &mut Config) -> Allowed {
        self.found = capacity::find();
        self.allowed(config)
    }

    fn allowed(&mut self, config: &mut Config) -> Allowed {
        let allowed = capacity::allow(self.found, config);
        let (wanted, connections) = (config.max_connections, allowed.connections);
        let lowered = allowed.reason.map(|reason| {
            format!("max_connections lowered from {wanted} to {connections}: {reason}")
        });
        if let Some(lowered) = lowered.as_ref().filter(|_| lowered != self.lowered) {
            warn!("{lowered}");
        }
        self.lowered = lowered;
        config.max_connections = connections;
        allowed
    }

    /// Reads the file again, and has `running` serve what has changed. If that cannot be, nothing
    /// changes. Says what it did.
    pub fn reload(&mut self, running: &Running) {
        if let Err(why) = self.try_reload(running) {
            error!("SIGHUP: nothing is changed: {why}");
        }
    }

    fn try_reload(&mut self, running: &Running) -> Result<(), String> {
        let loaded = Config::load_values(&self.path);
        let (mut config, mut values) = loaded.map_err(|error| error.to_string())?;
        let now = running.config();
        let changes = config.succeed(&mut values, (&now, &self.values));
        create_directories(&config)?;
        let (now, at_start) = (changes.now.join(", "), changes.at_start.join(", "));
        if !now.is_empty() {
            let allowed = self.allowed(&mut config);
            running.reload(config, &allowed);
            self.values = values;
            info!("SIGHUP: changed: {now}");
        }
        if !at_start.is_empty() {
            warn!("SIGHUP: needs a restart, and is as it was: {at_start}");
        }
        if now.is_empty() && at_start.is_empty() {
            info!("SIGHUP: nothing has changed in {}", self.path.display());
        }
        Ok(())
    }
}

/// Creates what the configuration names.
///
/// # Errors
///
/// Which cannot be, and why.
pub fn create_directories(config: &Config) -> Result<(), String> {
    let Some(http) = &config.http_server else {
        return Ok(());
    };
    fs::create_dir_all(&http.dir)
        .map_err(|error| format!("cannot create {}: {error}", http.dir.display()))
}
