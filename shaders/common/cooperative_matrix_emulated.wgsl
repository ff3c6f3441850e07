// cooperative_matrix.wgsl in plain WGSL, so that all of product_matrix.wgsl but the matrix instructions themselves can be tested
// on adapters without them. A and B are where they lie: nothing is staged between a load and its use. Of C each of the
// SUBGROUP invocations of a subgroup holds every SUBGROUPth value, all matrices' in one array, since software adapters take
// minutes to compile arrays that are passed on: such a matrix is where it begins there, and is added to in place.
struct MatrixA {
    at: u32,
}

struct MatrixB {
    at: u32,
}

struct MatrixC {
    at: u32,
}

const SHARE: u32 = {{SIZE * SIZE / SUBGROUP}}u;

var<private> held: array<f32, {{OWN_ROWS * OWN_COLUMNS / SUBGROUP}}>;
var<private> held_length: u32;
var<private> lane_of_subgroup: u32;

fn value_a(at: u32) -> f16 {
//#if FOURS
    return tile_a[at / 4u][at % 4u];
//#else
    return tile_a[at];
//#end
}

fn value_b(at: u32) -> f16 {
//#if FOURS
    return tile_b[at / 4u][at % 4u];
//#else
    return tile_b[at];
//#end
}

fn load_a(at: u32) -> MatrixA {
    return MatrixA(at);
}

fn load_b(at: u32) -> MatrixB {
    return MatrixB(at);
}

fn load_c(at: u32) -> MatrixC {
    let c = MatrixC(held_length);
    held_length += SHARE;
    for (var share = 0u; share < SHARE; share++) {
        let index = share * {{SUBGROUP}}u + lane_of_subgroup;
        held[c.at + share] = strips[at + index / {{SIZE}}u * STRIP_STRIDE + index % {{SIZE}}u];
    }
    return c;
}

fn multiply_add(a: MatrixA, b: MatrixB, c: MatrixC) -> MatrixC {
    for (var share = 0u; share < SHARE; share++) {
        let index = share * {{SUBGROUP}}u + lane_of_subgroup;
        let row = index / {{SIZE}}u;
        let column = index % {{SIZE}}u;
        var sum = held[c.at + share];
        for (var k = 0u; k < {{SIZE}}u; k++) {
//#if MODE == 2
            let x = value_a(a.at + k * A_STRIDE + row);
//#else
            let x = value_a(a.at + row * A_STRIDE + k);
//#end
//#if MODE == 0
            let y = value_b(b.at + column * B_STRIDE + k);
//#else
            let y = value_b(b.at + k * B_STRIDE + column);
//#end
            sum = fma(f32(x), f32(y), sum);
        }
        held[c.at + share] = sum;
    }
    return c;
}

fn store_c(c: MatrixC, at: u32) {
    for (var share = 0u; share < SHARE; share++) {
        let index = share * {{SUBGROUP}}u + lane_of_subgroup;
        strips[at + index / {{SIZE}}u * STRIP_STRIDE + index % {{SIZE}}u] = held[c.at + share];
    }
}
