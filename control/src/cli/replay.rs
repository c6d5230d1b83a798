//! `weir replay`

use crate::replay::{Clock, PortFiles, Replay, Tracing};
use crate::{Failure, config};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use weir_dataplane::subnet::Subnet;
use weir_dataplane::trace::Filter;
use weir_dataplane::track::filter::EndFilter;

/// Run a configuration over captures and say what becomes of each frame
///
/// The real pipeline runs between real net_pcap ports. Frames of several inputs are merged by their times.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration; the devices of its ports are not touched
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// What comes in by a port, pcap or pcapng
    #[arg(long = "in", value_name = "PORT=FILE", required = true, value_parser = port_file)]
    inputs: Vec<(String, PathBuf)>,
    /// Where what leaves by a port is written
    #[arg(long = "out", value_name = "PORT=FILE", value_parser = port_file)]
    outputs: Vec<(String, PathBuf)>,
    /// Where each frame's outcome goes as a line of JSON; `-` is standard output
    #[arg(long, value_name = "FILE|-")]
    verdicts: Option<PathBuf>,
    /// Show frames from or to this address or prefix stage by stage, as `weir trace` does
    #[arg(long, value_name = "ADDRESS[/LENGTH]")]
    trace: Option<Subnet>,
    /// What drives time
    #[arg(long, value_enum, default_value_t)]
    clock: Clock,
}

fn port_file(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((port, file)) if !port.is_empty() && !file.is_empty() => Ok((port.to_owned(), file.into())),
        _ => Err("PORT=FILE is wanted, such as lan=in.pcap".to_owned()),
    }
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let config = config::load(&self.config).map_err(Failure::configuration)?.config;
        let mut files = vec![PortFiles::default(); config.ports().len()];
        for (name, path) in self.inputs {
            set(&config, &mut files, "--in", &name, path, |files| &mut files.input)?;
        }
        for (name, path) in self.outputs {
            set(&config, &mut files, "--out", &name, path, |files| &mut files.output)?;
        }
        let on_stdout = self.verdicts.as_ref().is_some_and(|path| path.as_os_str() == "-");
        let verdicts: Option<Box<dyn Write>> = match self.verdicts {
            None => None,
            Some(_) if on_stdout => Some(Box::new(BufWriter::new(io::stdout()))),
            Some(path) => {
                let file = File::create(&path)
                    .map_err(|error| Failure::runtime(format!("cannot write {}: {error}", path.display())))?;
                Some(Box::new(BufWriter::new(file)))
            }
        };
        let tracing = self.trace.map(|address| {
            let either = EndFilter { address: Some(address), port: None };
            let out: Box<dyn Write> = if on_stdout { Box::new(io::stderr()) } else { Box::new(io::stdout()) };
            Tracing { filter: Filter { either, ..Filter::default() }, out }
        });
        let mut summary = String::new();
        let done = Replay { config, files, clock: self.clock }.run(verdicts, tracing, &mut summary);
        if on_stdout {
            let _ = io::stderr().write_all(summary.as_bytes());
        } else {
            super::print(&summary)?;
        }
        done
    }
}

/// Notes `path` for the port `name`; a port has one capture each way.
fn set(
    config: &config::GatewayConfig,
    files: &mut [PortFiles],
    option: &str,
    name: &str,
    path: PathBuf,
    field: impl Fn(&mut PortFiles) -> &mut Option<PathBuf>,
) -> Result<(), Failure> {
    let Some(id) = config.port_id(name) else {
        let names: Vec<_> = config.ports().iter().map(config::Port::name).collect();
        let names = names.join(", ");
        return Err(Failure::configuration(format!(
            "{option}: there is no port `{name}`; there are {names}"
        )));
    };
    match field(&mut files[id.index()]).replace(path) {
        None => Ok(()),
        Some(_) => Err(Failure::configuration(format!("{option}: port `{name}` is named twice"))),
    }
}
