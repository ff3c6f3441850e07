// Rows in parts: vectors of 4 values where a row's length divides, else single values.
//#if VECTOR
alias Part = vec4<f32>;
const WIDTH: u32 = 4u;
fn part_sum(x: Part) -> f32 { return (x.x + x.y) + (x.z + x.w); }
//#else
alias Part = f32;
const WIDTH: u32 = 1u;
fn part_sum(x: Part) -> f32 { return x; }
//#end
