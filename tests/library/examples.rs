//! The programs under `examples/`, run as they are.

#[path = "../../examples/export.rs"]
mod export;
#[path = "../../examples/fold_in.rs"]
mod fold_in;
#[path = "../../examples/from_file.rs"]
mod from_file;
#[path = "../../examples/from_triples.rs"]
mod from_triples;
#[path = "../../examples/progress.rs"]
mod progress;
#[path = "../../examples/server.rs"]
mod server;

macro_rules! run {
    ($($name:ident: $program:ident;)*) => {
        $(#[test] fn $name() { $program::main().unwrap(); })*
    };
}

run! {
    export_runs: export;
    fold_in_runs: fold_in;
    from_file_runs: from_file;
    from_triples_runs: from_triples;
    progress_runs: progress;
    server_runs: server;
}
