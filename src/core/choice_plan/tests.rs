//! Batches against all pairs, gone through one by one.

use super::*;
use crate::core::{Loss, Options};
use std::collections::BTreeMap;

const USERS: usize = 30;
const ITEMS: usize = 40;

/// Some items are chosen more often than others, the last two by nobody; some pairs twice.
fn ratings() -> Ratings {
    let pairs =
        (0..300_usize).map(|n| (n * 7 % USERS, (n * n + n / 9) % (ITEMS - 2) * (n % 3) / 2));
    let (users, items): (Vec<_>, Vec<_>) = pairs.map(|(u, i)| (u as u32, i as u32)).unzip();
    Ratings {
        values: vec![1.0; users.len()],
        users,
        items,
        timestamps: Vec::new(),
        weights: Vec::new(),
    }
}

fn plan(loss: Loss, change: impl FnOnce(&mut Settings)) -> ChoicePlan {
    let options = Options { loss: Some(loss), batch_size: Some(64), ..Options::default() };
    let mut settings = options.resolve(&ratings(), USERS, ITEMS).unwrap();
    settings.contrast.as_mut().unwrap().negatives = Negatives::Pool(50);
    change(&mut settings);
    let weights: Vec<f32> = (0..300).map(|at| at as f32).collect();
    ChoicePlan::new(&ratings(), &weights, (USERS, ITEMS), &settings).unwrap()
}

fn epoch(plan: &ChoicePlan, epoch: usize) -> Vec<ChoiceBatch> {
    plan.epoch(epoch, &[], |step| step as f32).collect()
}

#[test]
fn an_epoch_has_every_pair_once_and_its_weight() {
    let mixed = Negatives::Mixed(20);
    for negatives in [Negatives::Pool(50), Negatives::Batch, mixed, Negatives::All] {
        let plan = plan(Loss::Bpr, |s| s.contrast.as_mut().unwrap().negatives = negatives);
        let batches = epoch(&plan, 3);
        assert_eq!(batches.len(), 5);
        let mut seen = Vec::new();
        for (at, batch) in batches.iter().enumerate() {
            assert_eq!((batch.step, batch.rate), (10 + at as u32, 10.0 + at as f32));
            assert_eq!(batch.pairs(), 60);
            for pair in 0..batch.pairs() {
                let user = batch.pair_users[pair] as usize;
                let own = batch.user_starts[user] as usize..batch.user_starts[user + 1] as usize;
                assert!(own.contains(&pair));
                let item = batch.pair_items[pair] as usize;
                let of = batch.item_starts[item] as usize..batch.item_starts[item + 1] as usize;
                assert_eq!(batch.item_pairs[of].iter().filter(|&&p| p as usize == pair).count(), 1);
                seen.push((batch.weights[pair] as usize, batch.users[user], batch.items[item]));
            }
        }
        seen.sort_unstable();
        let all = ratings();
        let want: Vec<_> = all.iter().enumerate().map(|(at, (u, i, _))| (at, u, i)).collect();
        assert_eq!(seen, want);
    }
}

#[test]
fn a_pool_is_what_was_drawn() {
    let plan = plan(Loss::Warp, |_| {});
    let all = ratings();
    for batch in epoch(&plan, 1) {
        assert_eq!(batch.draws.len(), 50);
        let mut counts = BTreeMap::new();
        for &slot in &batch.draws {
            *counts.entry(slot).or_insert(0.0_f32) += 1.0;
        }
        let slots: Vec<u32> = (0..batch.pool as u32).collect();
        assert_eq!(counts.keys().copied().collect::<Vec<_>>(), slots);
        assert_eq!(counts.into_values().collect::<Vec<_>>(), batch.counts);
        for (&weight, &count) in batch.log_weights.iter().zip(&batch.counts) {
            let want = (count * ITEMS as f32 / 50.0).ln();
            assert!((weight - want).abs() < 1e-6, "{weight} {want}");
        }
        assert!(batch.items[..batch.pool].is_sorted() && batch.items[batch.pool..].is_sorted());
        let mut distinct = batch.items.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), batch.items.len());
        assert!(batch.begins.iter().all(|&begin| begin < 50));
        for (slot, &user) in batch.users.iter().enumerate() {
            let chose = |item: u32| all.iter().any(|(u, i, _)| (u, i) == (user, item));
            let want: Vec<u32> =
                slots.iter().copied().filter(|&slot| chose(batch.items[slot as usize])).collect();
            assert_eq!(batch.known(slot), want);
        }
    }
}

#[test]
fn the_batch_and_all_items_are_pools() {
    let of = |negatives| {
        let plan = plan(Loss::Softmax, |s| s.contrast.as_mut().unwrap().negatives = negatives);
        epoch(&plan, 2).swap_remove(1)
    };
    let batch = of(Negatives::Batch);
    assert_eq!(batch.pool, batch.items.len());
    assert_eq!(batch.counts.iter().sum::<f32>(), 60.0);
    assert!(batch.draws.is_empty() && batch.begins.is_empty());
    let mixed = of(Negatives::Mixed(20));
    assert_eq!(mixed.counts.iter().sum::<f32>(), 80.0);
    assert_eq!(mixed.pool, mixed.items.len(), "a pair's own item is one of the pool");
    let all = of(Negatives::All);
    assert_eq!(all.items, (0..ITEMS as u32).collect::<Vec<_>>());
    assert_eq!((all.pool, &all.log_weights[..]), (ITEMS, &[0.0; ITEMS][..]));
}

/// What stands for all items is right in the mean: an item's weights over many batches come to 1 a batch.
#[test]
fn weights_make_up_for_how_often_an_item_is_drawn() {
    for (negatives, exponent) in
        [(Negatives::Pool(40), 0.5), (Negatives::Batch, 0.0), (Negatives::Mixed(20), 0.0)]
    {
        let plan = plan(Loss::Softmax, |s| {
            let contrast = s.contrast.as_mut().unwrap();
            (contrast.negatives, contrast.negative_exponent) = (negatives, exponent);
        });
        let batches: Vec<ChoiceBatch> = (1..=400).flat_map(|at| epoch(&plan, at)).collect();
        let (mut sums, mut squares) = ([0.0; ITEMS], [0.0; ITEMS]);
        for batch in &batches {
            for (&item, &log_weight) in batch.items.iter().zip(&batch.log_weights) {
                let weight = f64::from(log_weight).exp();
                sums[item as usize] += weight;
                squares[item as usize] += weight * weight;
            }
        }
        let n = batches.len() as f64;
        for (item, (sum, square)) in sums.into_iter().zip(squares).enumerate() {
            if plan.item_pairs[item] == 0 && sum == 0.0 {
                continue;
            }
            let (mean, off) = (sum / n, 5.0 * (square / n).sqrt() / n.sqrt());
            assert!((mean - 1.0).abs() <= off, "{negatives}: item {item}: {mean} ± {off}");
        }
    }
}

#[test]
fn popular_items_are_drawn_as_often_as_the_exponent_says() {
    for (exponent, seed) in [(0.0, 3), (1.0, 4), (0.5, 5)] {
        let plan = plan(Loss::Bpr, |s| {
            let contrast = s.contrast.as_mut().unwrap();
            (contrast.negatives, contrast.negative_exponent) = (Negatives::Pool(2000), exponent);
            s.seed = seed;
        });
        let mut drawn = [0.0; ITEMS];
        let mut all = 0.0;
        for batch in (1..=5).flat_map(|at| epoch(&plan, at)) {
            for &slot in &batch.draws {
                drawn[batch.items[slot as usize] as usize] += 1.0;
                all += 1.0;
            }
        }
        let weigh = |n: u32| match n {
            0 if exponent > 0.0 => 0.0,
            n => f64::from(n).powf(exponent),
        };
        let total: f64 = plan.item_pairs.iter().map(|&n| weigh(n)).sum();
        for (&n, drawn) in plan.item_pairs.iter().zip(drawn) {
            let want = weigh(n) / total;
            // Five deviations of a count.
            let off = 5.0 * (want * all).sqrt() / all;
            assert!((drawn / all - want).abs() <= off, "{drawn} of {all}, not {want}");
        }
    }
}

#[test]
fn epochs_differ_and_repeat() {
    let shuffled = plan(Loss::Softmax, |_| {});
    assert_eq!(epoch(&shuffled, 2), epoch(&shuffled, 2));
    let items = |batches: Vec<ChoiceBatch>| batches.into_iter().map(|batch| batch.items);
    assert!(items(epoch(&shuffled, 1)).zip(items(epoch(&shuffled, 2))).all(|(a, b)| a != b));
    let kept = plan(Loss::Softmax, |s| s.shuffle = false);
    let [first, second] = [1, 2].map(|at| epoch(&kept, at).swap_remove(0));
    assert_eq!(first.weights, second.weights);
}
