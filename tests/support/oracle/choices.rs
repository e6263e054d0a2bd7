//! The losses made for ranking by their formulas, in f64: of a batch's pairs one after another, with every item of
//! the pool, no matter how devices go about it.

use super::{Model, inner};
use wgmf::backend::ChoiceTerms;
use wgmf::core::{ChoiceBatch, Loss, Optimizer, Score, UNKNOWN};
use wgmf::math::random::{Purpose, Stream};

/// Rows of a batch, as they are scored, and how a gradient by them becomes one by the parameters.
struct Scored {
    x: Vec<f64>,
    length: f64,
    mask: Vec<f64>,
}

fn scored(row: &[f64], id: u32, terms: &ChoiceTerms, purpose: Purpose, step: u32) -> Scored {
    let stream = Stream::new(terms.seed, 0, step, purpose);
    let scale = f64::from(terms.dropout_scale);
    let kept = |f: usize| stream.word(id, f as u32) >= terms.dropout_below;
    let mask: Vec<f64> = (0..row.len()).map(|f| if kept(f) { scale } else { 0.0 }).collect();
    let mut x: Vec<f64> = row.iter().zip(&mask).map(|(x, mask)| x * mask).collect();
    let mut length = 1.0;
    if terms.score == Score::Cosine {
        length = inner(&x, &x).sqrt();
        x.iter_mut().for_each(|x| *x = if length > 0.0 { *x / length } else { 0.0 });
    }
    Scored { x, length, mask }
}

impl Scored {
    fn by_parameters(&self, score: Score, gradient: &[f64]) -> Vec<f64> {
        let along = inner(gradient, &self.x);
        let of = |f: usize| {
            let turned = match score {
                Score::Cosine if self.length == 0.0 => 0.0,
                Score::Cosine => (gradient[f] - along * self.x[f]) / self.length,
                Score::Inner => gradient[f],
            };
            turned * self.mask[f]
        };
        (0..gradient.len()).map(of).collect()
    }
}

/// What a batch comes to.
pub struct Gradient {
    pub loss: f64,
    /// (B): the score of each pair.
    pub scores: Vec<f64>,
    /// (B): what each pair picks; all [`UNKNOWN`] where none does.
    pub picks: Vec<u32>,
    /// (U), (D): each of (factors).
    pub users: Vec<Vec<f64>>,
    pub items: Vec<Vec<f64>>,
    /// (D).
    pub bias: Vec<f64>,
    /// The least by which a pick was one: below what 32 bits tell apart, another may be picked.
    pub doubt: f64,
}

/// `ℓ`, `∂ℓ/∂s_ui`, and `∂ℓ/∂s_uj` of each slot of the pool.
struct Held {
    loss: f64,
    own: f64,
    pool: Vec<f64>,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn held(
    (loss, terms): (Loss, &ChoiceTerms),
    batch: &ChoiceBatch,
    pair: usize,
    own: f64,
    pool: &[f64],
    (picks, doubt): (&mut u32, &mut f64),
) -> Held {
    let (w, user) = (f64::from(batch.weights[pair]), batch.pair_users[pair] as usize);
    let is_negative = |slot: usize| !batch.known(user).contains(&(slot as u32));
    let negatives: Vec<usize> = (0..pool.len()).filter(|&slot| is_negative(slot)).collect();
    let mut of = Held { loss: 0.0, own: 0.0, pool: vec![0.0; pool.len()] };
    if negatives.is_empty() {
        return of;
    }
    let tau = 1.0 / f64::from(terms.inverse_temperature);
    match loss {
        Loss::Softmax => {
            let w = match terms.inverse_cut {
                Some(inverse) => {
                    w * sigmoid((own - f64::from(batch.thresholds[user])) * f64::from(inverse))
                }
                None => w,
            };
            let eta = f64::from(terms.negative_power);
            let part = |slot: usize| (pool[slot] / tau + f64::from(batch.log_weights[slot])).exp();
            let beside = if terms.own { (own / tau).exp() } else { 0.0 };
            let z = beside + negatives.iter().map(|&slot| part(slot)).sum::<f64>();
            of.loss = w * (eta * z.ln() - own / tau);
            of.own = w * (eta * beside / z - 1.0) / tau;
            for slot in negatives {
                of.pool[slot] = w * eta * part(slot) / (z * tau);
            }
        }
        Loss::Ccl => {
            let (lambda, theta) = (f64::from(terms.negative_weight), f64::from(terms.margin));
            let count = |slot: usize| f64::from(batch.counts[slot]);
            let drawn: f64 = negatives.iter().map(|&slot| count(slot)).sum();
            let above = |slot: usize| (pool[slot] - theta).max(0.0);
            let sum: f64 = negatives.iter().map(|&slot| count(slot) * above(slot)).sum();
            of.loss = w * ((1.0 - own) + lambda * sum / drawn);
            of.own = -w;
            for slot in negatives {
                *doubt = doubt.min((pool[slot] - theta).abs());
                if pool[slot] > theta {
                    of.pool[slot] = w * lambda * count(slot) / drawn;
                }
            }
        }
        Loss::Bpr | Loss::Warp => {
            let (begin, n) = (batch.begins[pair] as usize, batch.draws.len());
            let draws = (0..n).map(|t| batch.draws[(begin + t) % n] as usize);
            let looked: Vec<usize> =
                draws.filter(|&slot| is_negative(slot)).take(terms.tries).collect();
            let theta = f64::from(terms.margin);
            if loss == Loss::Bpr {
                let mut best = looked[0];
                for &slot in &looked {
                    if pool[slot] > pool[best] {
                        best = slot;
                    }
                }
                for &slot in looked.iter().filter(|&&slot| slot != best) {
                    *doubt = doubt.min(pool[best] - pool[slot]);
                }
                let over = pool[best] - own;
                of.loss = w * over.exp().ln_1p();
                of.own = -w * sigmoid(over);
                of.pool[best] = -of.own;
                *picks = best as u32;
            } else {
                for (t, &slot) in looked.iter().enumerate() {
                    let over = pool[slot] - (own - theta);
                    *doubt = doubt.min(over.abs());
                    if over > 0.0 {
                        let weight = w * f64::from(terms.place_weights[t]);
                        of.loss = weight * over;
                        of.own = -weight;
                        of.pool[slot] = weight;
                        *picks = slot as u32;
                        break;
                    }
                }
            }
        }
        Loss::Squared | Loss::Logistic => panic!("a loss of ratings"),
    }
    of
}

/// The gradient of the summed loss of a batch by the parameters of its rows.
pub fn gradient(
    model: &Model,
    (loss, bias): (Loss, bool),
    terms: &ChoiceTerms,
    batch: &ChoiceBatch,
) -> Gradient {
    let step = batch.step;
    let of = |rows: &[Vec<f64>], ids: &[u32], purpose| -> Vec<Scored> {
        ids.iter().map(|&id| scored(&rows[id as usize], id, terms, purpose, step)).collect()
    };
    let users = of(&model.users.factors, &batch.users, Purpose::UserDropout);
    let items = of(&model.items.factors, &batch.items, Purpose::ItemDropout);
    let k = model.users.factors[0].len();
    let score = |user: usize, item: usize| {
        let bias = if bias { model.items.bias[batch.items[item] as usize] } else { 0.0 };
        inner(&users[user].x, &items[item].x) + bias
    };
    let mut sums = Gradient {
        loss: 0.0,
        scores: Vec::new(),
        picks: vec![UNKNOWN; batch.pairs()],
        users: vec![vec![0.0; k]; users.len()],
        items: vec![vec![0.0; k]; items.len()],
        bias: vec![0.0; items.len()],
        doubt: f64::INFINITY,
    };
    for pair in 0..batch.pairs() {
        let (user, item) = (batch.pair_users[pair] as usize, batch.pair_items[pair] as usize);
        let own = score(user, item);
        let pool: Vec<f64> = (0..batch.pool).map(|slot| score(user, slot)).collect();
        let picks = (&mut sums.picks[pair], &mut sums.doubt);
        let held = held((loss, terms), batch, pair, own, &pool, picks);
        sums.loss += held.loss;
        sums.scores.push(own);
        let slopes = held.pool.iter().copied().enumerate().chain([(item, held.own)]);
        for (slot, slope) in slopes.filter(|(_, slope)| *slope != 0.0) {
            for f in 0..k {
                sums.users[user][f] += slope * items[slot].x[f];
                sums.items[slot][f] += slope * users[user].x[f];
            }
            sums.bias[slot] += slope;
        }
    }
    for (rows, gradient) in [(&users, &mut sums.users), (&items, &mut sums.items)] {
        for (row, of) in rows.iter().zip(gradient) {
            *of = row.by_parameters(terms.score, of);
        }
    }
    sums
}

/// Takes a step: `moments` of the parameters, none for sgd, two for adam.
pub fn step(
    model: &mut Model,
    moments: &mut [Model],
    terms: &wgmf::backend::Terms,
    choice: &ChoiceTerms,
    batch: &ChoiceBatch,
) -> f64 {
    let of = gradient(model, (terms.loss, terms.bias), choice, batch);
    let mean = 1.0 / batch.pairs() as f64;
    let picked = |slot: usize| of.picks.iter().filter(|&&pick| pick as usize == slot).count();
    let (reg, reg_bias) = (f64::from(terms.reg), f64::from(terms.reg_bias));
    let rate = f64::from(batch.rate);
    let update = |x: &mut f64, slope: f64, moments: [Option<&mut f64>; 2], rate: f64| match (
        terms.optimizer,
        moments,
    ) {
        (Optimizer::Adam, [Some(m), Some(v)]) => {
            *m = 0.9 * *m + 0.1 * slope;
            *v = 0.999 * *v + 0.001 * slope * slope;
            *x -= rate * *m / (v.sqrt() + 1e-8);
        }
        (Optimizer::Adagrad, [Some(v), None]) => {
            *v += slope * slope;
            *x -= rate * slope / (v.sqrt() + 1e-8);
        }
        (Optimizer::Sgd, [None, None]) => *x -= rate * slope,
        (Optimizer::Sgd, [Some(v), None]) => {
            *v = f64::from(terms.momentum) * *v + slope;
            *x -= rate * *v;
        }
        _ => panic!("other moments than the optimizer has"),
    };
    let (first, second) = moments.split_at_mut(moments.len().min(1));
    for (slot, &row) in batch.users.iter().enumerate() {
        let row = row as usize;
        let n = batch.pair_users.iter().filter(|&&user| user as usize == slot).count() as f64;
        for f in 0..of.users[slot].len() {
            let x = &mut model.users.factors[row][f];
            let slope = mean * (of.users[slot][f] + 2.0 * reg * n * *x);
            let first = first.first_mut().map(|m| &mut m.users.factors[row][f]);
            let second = second.first_mut().map(|m| &mut m.users.factors[row][f]);
            update(x, slope, [first, second], rate);
        }
    }
    for (slot, &row) in batch.items.iter().enumerate() {
        let row = row as usize;
        let own = batch.pair_items.iter().filter(|&&item| item as usize == slot).count();
        let n = (own + picked(slot)) as f64;
        for f in 0..of.items[slot].len() {
            let x = &mut model.items.factors[row][f];
            let slope = mean * (of.items[slot][f] + 2.0 * reg * n * *x);
            let first = first.first_mut().map(|m| &mut m.items.factors[row][f]);
            let second = second.first_mut().map(|m| &mut m.items.factors[row][f]);
            update(x, slope, [first, second], rate);
        }
        if terms.bias {
            let x = &mut model.items.bias[row];
            let slope = mean * (of.bias[slot] + 2.0 * reg_bias * n * *x);
            let first = first.first_mut().map(|m| &mut m.items.bias[row]);
            let second = second.first_mut().map(|m| &mut m.items.bias[row]);
            update(x, slope, [first, second], rate * f64::from(terms.bias_rate));
        }
    }
    of.loss
}
