//! The bodies against f64 and the reference.

mod cpu {
    use burn::tensor::{Device, Int, Tensor, TensorData};

    use crate::cpu::testing::{assert_same_bits, error, host, leaf, plain, random, wide};

    fn run([tokens, rows, width]: [usize; 3], fused: bool) -> Vec<Vec<f32>> {
        let table = leaf(&random(1, rows * width), [rows, width]);
        // The first and the last row, and one row in every other token.
        let ids: Vec<i32> = (0..tokens).map(|t| (if t % 2 == 0 { rows - 1 } else { t * 7 % rows }) as i32).collect();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [tokens]), &Device::flex().autodiff());
        let body = if fused { crate::ops::embedding::look_up } else { |table: Tensor<2>, ids| table.select(0, ids) };
        let y = body(table.clone(), ids);
        let gradients = (y.clone() * plain(&random(2, tokens * width), [tokens, width])).sum().backward();
        vec![host(y), host(table.grad(&gradients).unwrap())]
    }

    #[test]
    fn agrees_with_the_reference() {
        for sizes in [[1, 1, 1], [7, 2, 37], [65, 300, 8], [500, 256, 16], [300, 1000, 99]] {
            let (found, expected) = (run(sizes, true), run(sizes, false));
            assert_eq!(found[0], expected[0]);
            assert!(error(&found[1], &wide(&expected[1]), 1e-3) < 1e-5, "{sizes:?}");
        }
    }

    #[test]
    fn threads_change_no_bit() {
        assert_same_bits(|| run([2000, 3000, 64], true));
    }

    #[test]
    #[should_panic(expected = "embeddings: id 5, expected one of 0..5")]
    fn an_id_beyond_the_table_is_told() {
        let ids = Tensor::<1, Int>::from_data([0, 5], &Device::flex().autodiff());
        crate::ops::embedding::look_up(leaf(&[0.0; 10], [5, 2]), ids);
    }
}

#[cfg(not(target_family = "wasm"))]
mod gpu {
    use burn::tensor::{Int, Tensor, TensorData};

    use crate::Table;
    use crate::check::testing::{assert_matches, operands};

    #[test]
    fn look_ups_and_gradients_match_the_reference() {
        for ([batch, seq], [vocab, positions, types], width) in
            [([1, 1], [1, 1, 1], 1), ([2, 7], [5, 9, 2], 3), ([3, 43], [99, 64, 2], 16), ([2, 128], [8192, 512, 2], 32)]
        {
            let operands = operands(&[[vocab, width], [positions, width], [types, width]]);
            // Ids 0 and vocab - 1 among them, and one that many tokens share.
            let id = |i: usize| if i.is_multiple_of(3) { vocab as i32 - 1 } else { (i * 7919 % vocab) as i32 };
            let ids: Vec<i32> = (0..batch * seq).map(id).collect();
            let kinds: Vec<i32> = (0..batch * seq).map(|i| (i % seq * types / seq) as i32).collect();
            type Body = fn(Tensor<2>, Tensor<2>, Tensor<2>, &Tensor<2, Int>, &Tensor<2, Int>) -> Tensor<2>;
            let body = |body: Body| {
                let (ids, kinds) = (ids.clone(), kinds.clone());
                move |operands: Vec<Tensor<2>>| {
                    let [words, positions, types] = operands.try_into().unwrap();
                    let device = words.device();
                    let ints =
                        |ids: &[i32]| Tensor::<2, Int>::from_data(TensorData::new(ids.to_vec(), [batch, seq]), &device);
                    body(words, positions, types, &ints(&ids), &ints(&kinds))
                }
            };
            let what = format!("embeddings {batch} x {seq}, vocabulary {vocab} x {width}");
            let (kernel, oracle) = (body(crate::embeddings), body(crate::ops::embedding::reference::embeddings));
            assert_matches(&what, &operands, 1e-6, &kernel, &oracle);
        }
    }

    #[test]
    fn words_in_pieces_are_the_words() {
        let (batch, seq, width, pieces) = (2, 41, 6, [64, 64, 5]);
        let operands =
            operands(&[[pieces[0], width], [pieces[1], width], [pieces[2], width], [seq, width], [1, width]]);
        let vocab: usize = pieces.iter().sum();
        type Body = fn(Table, Tensor<2>, Tensor<2>, &Tensor<2, Int>, &Tensor<2, Int>) -> Tensor<2>;
        let body = |body: Body| {
            move |operands: Vec<Tensor<2>>| {
                let [first, second, third, positions, types] = operands.try_into().unwrap();
                let device = first.device();
                let ids: Vec<i32> = (0..batch * seq).map(|i| (i * 7919 % vocab) as i32).collect();
                let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [batch, seq]), &device);
                let kinds = Tensor::<2, Int>::zeros([batch, seq], &device);
                body(Table::new(vec![first, second, third]), positions, types, &ids, &kinds)
            }
        };
        let (kernel, oracle) = (body(crate::embeddings), body(crate::ops::embedding::reference::embeddings));
        assert_matches("embeddings in pieces", &operands, 1e-6, &kernel, &oracle);
    }
}
