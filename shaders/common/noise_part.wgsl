// Dropout's factors of a part's values (part.wgsl), from the first one's number on.
fn keep_part(key: vec2<u32>, index: u32, threshold: u32, scale: f32) -> Part {
//#if VECTOR
    return Part(keep_factor(key, index, threshold, scale), keep_factor(key, index + 1u, threshold, scale),
        keep_factor(key, index + 2u, threshold, scale), keep_factor(key, index + 3u, threshold, scale));
//#else
    return keep_factor(key, index, threshold, scale);
//#end
}
