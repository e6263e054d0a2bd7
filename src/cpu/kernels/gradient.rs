//! One row's gradient from residuals that are already known. The twin of `shaders/gradient.wgsl`.

use super::table::Rows;
use super::vector::{add_scaled, add_scaled_4};

/// `gradient = Σ e·y` over a run: `residuals[link]` belongs to the partner beside the link.
/// Returns `Σ e`.
#[inline(always)]
pub(crate) fn gradient(
    partner: &Rows,
    partners: &[u32],
    links: &[u32],
    residuals: &[f32],
    gradient: &mut [f32],
) -> f32 {
    let mut sum = 0.0;
    gradient.fill(0.0);
    let (partners_4, partners_rest) = partners.as_chunks::<4>();
    let (links_4, links_rest) = links.as_chunks::<4>();
    for (partners, links) in partners_4.iter().zip(links_4) {
        let [a, b, c, d] = *links;
        let e = [
            residuals[a as usize],
            residuals[b as usize],
            residuals[c as usize],
            residuals[d as usize],
        ];
        sum = (((sum + e[0]) + e[1]) + e[2]) + e[3];
        let [a, b, c, d] = *partners;
        let y = [partner.row(a), partner.row(b), partner.row(c), partner.row(d)];
        add_scaled_4(gradient, e, y);
    }
    for (&row, &link) in partners_rest.iter().zip(links_rest) {
        let e = residuals[link as usize];
        sum += e;
        add_scaled(gradient, e, partner.row(row));
    }
    sum
}
