//! The command line: parsing and printing, nothing else. One subcommand a file.

/// Prints a line of talk to standard error. Unlike `eprintln!`, which panics, it does not mind a
/// reader that went away (`wgmf ... 2>&1 | head`): nobody is left to be told. What a file holds
/// may be part of it, so that it is made fit for a terminal. With `--quiet` there is no talk.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        if !$crate::cli::is_quiet() {
            let text = $crate::cli::words::printable(&format!($($text)*));
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }};
}

mod alike;
mod backend;
mod bench;
mod by;
mod chosen;
mod compare;
mod completions;
mod cross_validate;
mod devices;
mod evaluate;
mod export;
mod fold_in;
mod info;
mod inspect;
mod interrupt;
mod listing;
mod output;
mod per_user;
mod predict;
mod progress;
mod ranking;
mod rating;
mod recommend;
mod report;
mod sampler;
mod similar;
mod split;
mod synth;
mod train;
mod tune;
mod words;

use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use output::is_closed_pipe;
use std::collections::HashSet;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use wgmf::memory::{self, Limit};
use wgmf::{Error, ErrorKind, Result};

/// Matrix factorization for recommendation: ratings in, embeddings out; on any GPU, and on the CPU.
#[derive(Parser)]
#[command(version, max_term_width = 100, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// CPU threads to use, 1 to 512; the result does not depend on it. Default: all cores
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    threads: Option<u16>,
    /// Memory that the command may take, as in 8GB; none for as much as it comes to. Work that needs more
    /// is refused before it begins. Default: what the system has left, and a container or ulimit allow
    #[arg(long, global = true, value_name = "SIZE")]
    memory_limit: Option<Limit>,
    /// Print nothing on standard error but errors
    #[arg(long, short, global = true)]
    quiet: bool,
}

/// Whether nobody wants to hear how it goes.
static QUIET: AtomicBool = AtomicBool::new(false);

/// What the command was called with, its own name first.
static WORDS: OnceLock<Vec<OsString>> = OnceLock::new();

fn words() -> &'static [OsString] {
    WORDS.get().map_or(&[], Vec::as_slice)
}

fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

#[derive(Subcommand)]
enum Command {
    Train(Box<train::Args>),
    Evaluate(evaluate::Args),
    Predict(predict::Args),
    Recommend(Box<recommend::Args>),
    Similar(similar::Args),
    FoldIn(fold_in::Args),
    Export(export::Args),
    Info(info::Args),
    Inspect(inspect::Args),
    Split(split::Args),
    Tune(Box<tune::Args>),
    CrossValidate(Box<cross_validate::Args>),
    Compare(compare::Args),
    Report(Box<report::Args>),
    Synth(synth::Args),
    Bench(bench::Args),
    Devices(devices::Args),
    Completions(completions::Args),
    Man(completions::ManArgs),
}

/// Parses the command line, runs it, and says how it ended: 0 done, 1 failed, 2 usage, 128 and more the
/// signal that ended it. `words` are the name of the command and what it was given.
pub fn main(words: Vec<OsString>) -> ExitCode {
    let _ = WORDS.set(words);
    // wgpu panics where a wait finds the device lost. The library takes that for the answer, and what comes of
    // it is told; so it is with files of columns that are damaged.
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !wgmf::gpu::is_waiting() && !wgmf::data::is_decoding() {
            usual(panic);
        }
    }));
    let (cli, given) = parse();
    match run(cli, &|arg| given.contains(arg)) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(signal) = interrupt::ended() {
                say!("stopped by {}", signal.name());
                return ExitCode::from(signal.exit_code());
            }
            // An error is told to whoever listens, be it quiet or not.
            let message = words::printable(&with_flags(&error.to_string()));
            let _ = writeln!(std::io::stderr(), "error: {message}");
            let usage = matches!(error.kind(), ErrorKind::Settings(_));
            ExitCode::from(if usage { 2 } else { 1 })
        }
    }
}

/// Ends the program where there is no memory for so many bytes more: the allocator's last word, which
/// takes no memory itself.
pub fn out_of_memory(bytes: usize) -> ! {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::SeqCst) {
        let mut text = [0_u8; 160];
        let mut rest = &mut text[..];
        let _ = writeln!(
            rest,
            "error: no memory is left, and {bytes} bytes more are needed; give the command more, or less to do"
        );
        let length = 160 - rest.len();
        let _ = std::io::stderr().write_all(&text[..length]);
    }
    std::process::exit(1)
}

/// A message of the library, with its settings as the flags of the command line.
fn with_flags(message: &str) -> String {
    let command = Cli::command();
    words::flags(message, |name| {
        command
            .get_subcommands()
            .flat_map(clap::Command::get_arguments)
            .chain(command.get_arguments())
            .any(|arg| arg.get_long() == Some(name))
    })
}

/// The command line, with `--reg -1` taken for a value that is wrong: clap would take `-1` for an
/// option that does not exist. With the names of what was given, which a default may equal.
fn parse() -> (Cli, HashSet<String>) {
    let negative = |arg: clap::Arg| match arg.get_action().takes_values() && !arg.is_positional() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    };
    let command = Cli::command().mut_args(negative).mut_subcommands(|sub| sub.mut_args(negative));
    let matches = command.get_matches_from(words());
    let given = matches.subcommand().map(|(_, own)| {
        let given =
            |id: &&clap::Id| own.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        own.ids().filter(given).map(|id| id.as_str().to_owned()).collect()
    });
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    (cli, given.unwrap_or_default())
}

fn run(cli: Cli, given: &dyn Fn(&str) -> bool) -> Result<ExitCode> {
    QUIET.store(cli.quiet, Ordering::Relaxed);
    memory::set_limit(cli.memory_limit.unwrap_or_default());
    interrupt::listen()?;
    let threads = cli.threads.map_or(0, usize::from);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|e| Error::settings(format!("--threads {threads}: {e}")))?;
    match cli.command {
        Command::Train(args) => return train::run(*args, given),
        Command::Tune(args) => return tune::run(*args),
        Command::Evaluate(args) => evaluate::run(args, given),
        Command::Predict(args) => predict::run(args, given),
        Command::Recommend(args) => recommend::run(*args),
        Command::Similar(args) => similar::run(args),
        Command::FoldIn(args) => fold_in::run(args, given),
        Command::Export(args) => export::run(args),
        Command::Info(args) => info::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Split(args) => split::run(args),
        Command::CrossValidate(args) => return cross_validate::run(*args),
        Command::Compare(args) => compare::run(args, given),
        Command::Report(args) => report::run(*args, given),
        Command::Synth(args) => synth::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Devices(args) => devices::run(args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Man(args) => completions::man(&args, Cli::command()),
    }?;
    Ok(ExitCode::SUCCESS)
}
