//! A server that answers from several threads, its items uploaded once:
//! `cargo run --release --example server`.

use std::sync::mpsc;
use std::thread;
use wgmf::{Dataset, Listed, Options, Result, Trained, fit, open_device};

/// What a client asks for: lists for a user, and where the answer goes.
struct Request {
    user: String,
    answer: mpsc::Sender<Result<Vec<Listed>>>,
}

/// Answers until nobody can ask any more. `Trained` is cheap to clone: all clones share the model, the
/// device and what lies on it.
fn serve(model: Trained, requests: mpsc::Receiver<Request>) {
    for Request { user, answer } in requests {
        // Who has gone away needs no answer.
        let _ = answer.send(model.recommend(&user, 3));
    }
}

/// Trains, then answers twenty questions from two threads.
pub fn main() -> Result<()> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/sample/plays.csv");
    let plays = Dataset::from_files(&[sample])?;
    let model = fit(&plays, &Options::als().factors(16).epochs(5), &open_device("auto")?)?;
    let (servers, doors): (Vec<_>, Vec<_>) = (0..2)
        .map(|_| {
            let (door, requests) = mpsc::channel();
            let model = model.clone();
            (thread::spawn(move || serve(model, requests)), door)
        })
        .unzip();
    for (question, user) in plays.users().iter().take(20).enumerate() {
        let (answer, answers) = mpsc::channel();
        let request = Request { user: user.to_owned(), answer };
        let door = &doors[question % doors.len()];
        door.send(request).expect("the server is there until its door is dropped");
        for item in answers.recv().expect("every question is answered")? {
            println!("{user}: {} {:.2}", item.id, item.score);
        }
    }
    drop(doors);
    servers.into_iter().for_each(|server| server.join().expect("a server does not panic"));
    Ok(())
}
