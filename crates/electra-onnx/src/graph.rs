//! A graph that grows node by node: values are the names of what a node gives.

use std::collections::{HashMap, HashSet};

use crate::proto::{Length, Message, Node, data_type, float, int, tensor, value_info};
use crate::{OnnxError, Precision, Tensor, Tensors, quantize};

/// Name of a node's result, of an input or of a constant.
pub(crate) type Value = String;

pub(crate) struct GraphBuilder<'a> {
    tensors: Tensors<'a>,
    pub(crate) precision: Precision,
    epsilon: f32,
    /// Inputs, outputs and constants: all of the graph's fields but its nodes.
    fields: Message,
    nodes: Vec<Node>,
    /// Names of constants that are among the fields.
    constants: HashSet<String>,
    /// What was quantised once, for all that multiply with it: integers, scale and zero point.
    quantized: HashMap<Value, [Value; 3]>,
}

impl<'a> GraphBuilder<'a> {
    pub(crate) fn new(tensors: &[Tensor<'a>], epsilon: f32, precision: Precision) -> Self {
        Self {
            tensors: tensors.iter().map(|tensor| (tensor.name, *tensor)).collect(),
            precision,
            epsilon,
            fields: Message::default(),
            nodes: Vec::new(),
            constants: HashSet::new(),
            quantized: HashMap::new(),
        }
    }

    /// `GraphProto`
    pub(crate) fn finish(self, name: &str) -> Message {
        self.nodes.iter().fold(self.fields.text(2, name), |graph, node| graph.message(1, &node.to_message()))
    }

    fn add_field(&mut self, field: u32, message: &Message) {
        self.fields = std::mem::take(&mut self.fields).message(field, message);
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor of the network, with as many dimensions as are expected; `None` stands for any length.
    pub(crate) fn tensor<const D: usize>(
        &self,
        name: &str,
        expected: [Option<usize>; D],
    ) -> Result<(Tensor<'a>, [usize; D]), OnnxError> {
        let tensor = *self.tensors.get(name).ok_or_else(|| OnnxError::Missing { name: name.to_owned() })?;
        let shape: Option<[usize; D]> = tensor.shape.try_into().ok();
        let fits = |shape: &[usize; D]| {
            shape.iter().zip(expected).all(|(found, expected)| expected.is_none_or(|expected| expected == *found))
                && shape.iter().product::<usize>() == tensor.values.len()
        };
        match shape.filter(fits) {
            Some(shape) => Ok((tensor, shape)),
            None => Err(OnnxError::Shape { name: name.to_owned(), found: tensor.shape.to_vec() }),
        }
    }

    /// A node with one result, which gets a name of its own.
    pub(crate) fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<Message>) -> Value {
        let [value] = self.node_of(op, inputs, attributes);
        value
    }

    fn node_of<const N: usize>(&mut self, op: &str, inputs: &[&str], attributes: Vec<Message>) -> [Value; N] {
        let name = format!("{op}_{}", self.nodes.len());
        let outputs: [Value; N] =
            std::array::from_fn(|i| if N == 1 { format!("{name}_output") } else { format!("{name}_output_{i}") });
        self.nodes.push(Node {
            op: op.to_owned(),
            name,
            inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
            outputs: outputs.to_vec(),
            attributes,
        });
        outputs
    }

    fn put(&mut self, name: String, dims: &[usize], data_type: i64, bytes: impl FnOnce() -> Vec<u8>) -> Value {
        if self.constants.insert(name.clone()) {
            let dims: Vec<i64> = dims.iter().map(|&length| length as i64).collect();
            self.add_field(5, &tensor(&name, &dims, data_type, &bytes()));
        }
        name
    }

    /// Constants of f32.
    pub(crate) fn floats(&mut self, name: String, dims: &[usize], values: &[f32]) -> Value {
        self.put(name, dims, data_type::FLOAT, || values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// A constant by itself.
    pub(crate) fn scalar(&mut self, value: f32) -> Value {
        self.floats(format!("float_{value}"), &[], &[value])
    }

    /// A list of integers: axes, shapes, bounds.
    pub(crate) fn integers(&mut self, values: &[i64]) -> Value {
        let name = values.iter().map(i64::to_string).collect::<Vec<_>>().join("_");
        let bytes = || values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.put(format!("int64_{name}"), &[values.len()], data_type::INT64, bytes)
    }

    /// An integer without dimensions: a Gather with it drops the axis.
    pub(crate) fn index(&mut self, value: i64) -> Value {
        self.put(format!("index_{value}"), &[], data_type::INT64, || value.to_le_bytes().to_vec())
    }

    /// A tensor of the network as it is.
    pub(crate) fn own<const D: usize>(&mut self, name: &str, expected: [Option<usize>; D]) -> Result<Value, OnnxError> {
        let (tensor, shape) = self.tensor(name, expected)?;
        Ok(self.floats(name.to_owned(), &shape, tensor.values))
    }

    /// `x W^T + b` with the weight `[out, in]` and the bias of `name`, in the graph's precision. Returns `out`, too.
    pub(crate) fn dense(&mut self, x: &str, name: &str) -> Result<(Value, usize), OnnxError> {
        match self.precision {
            Precision::F32 => self.dense_f32(x, name),
            Precision::Int8 => {
                let (weight, [out, columns]) = self.tensor(&format!("{name}.weight"), [None, None])?;
                let (integers, scales) = quantize::rows(weight.values, columns);
                let bytes = || transposed(&integers, columns).into_iter().map(|value| value as u8).collect();
                let matrix = self.put(format!("{name}.weight_int8"), &[columns, out], data_type::INT8, bytes);
                let scales = self.floats(format!("{name}.weight_scale"), &[out], &scales);
                let product = self.product_int8(x, &matrix, &scales);
                Ok((self.add_bias(&product, name, out)?, out))
            }
        }
    }

    /// As [`GraphBuilder::dense`], in f32 whatever the precision.
    pub(crate) fn dense_f32(&mut self, x: &str, name: &str) -> Result<(Value, usize), OnnxError> {
        let (weight, [out, columns]) = self.tensor(&format!("{name}.weight"), [None, None])?;
        let values = transposed(weight.values, columns);
        let weight = self.floats(format!("{name}.weight"), &[columns, out], &values);
        let product = self.node("MatMul", &[x, &weight], vec![]);
        Ok((self.add_bias(&product, name, out)?, out))
    }

    fn add_bias(&mut self, product: &str, name: &str, out: usize) -> Result<Value, OnnxError> {
        let bias = self.own(&format!("{name}.bias"), [Some(out)])?;
        Ok(self.node("Add", &[product, &bias], vec![]))
    }

    /// `x` times a matrix `[in, out]` of integers with a scale for each column.
    pub(crate) fn product_int8(&mut self, x: &str, matrix: &str, scales: &str) -> Value {
        if !self.quantized.contains_key(x) {
            let parts = self.node_of("DynamicQuantizeLinear", &[x], vec![]);
            self.quantized.insert(x.to_owned(), parts);
        }
        let [integers, scale, zero] = self.quantized[x].clone();
        let product = self.node("MatMulInteger", &[&integers, matrix, &zero], vec![]);
        let product = self.node("Cast", &[&product], vec![int("to", data_type::FLOAT)]);
        let scale = self.node("Mul", &[&scale, scales], vec![]);
        self.node("Mul", &[&product, &scale], vec![])
    }

    /// A table's rows as integers `[rows, columns]`, and their scales `[rows]`.
    pub(crate) fn table_int8(&mut self, name: &str) -> Result<[Value; 2], OnnxError> {
        let (table, [rows, columns]) = self.tensor(name, [None, None])?;
        let (integers, scales) = quantize::rows(table.values, columns);
        let bytes = || integers.iter().map(|&value| value as u8).collect();
        let table = self.put(format!("{name}_int8"), &[rows, columns], data_type::INT8, bytes);
        Ok([table, self.floats(format!("{name}_scale"), &[rows], &scales)])
    }

    pub(crate) fn cast_to_float(&mut self, x: &str) -> Value {
        self.node("Cast", &[x], vec![int("to", data_type::FLOAT)])
    }

    /// GELU in its erf form: `x / 2 * (1 + erf(x / sqrt(2)))`, in the order that runtimes recognise.
    pub(crate) fn gelu(&mut self, x: &str) -> Value {
        let (root, one, half) = (self.scalar(std::f32::consts::SQRT_2), self.scalar(1.0), self.scalar(0.5));
        let scaled = self.node("Div", &[x, &root], vec![]);
        let erf = self.node("Erf", &[&scaled], vec![]);
        let sum = self.node("Add", &[&erf, &one], vec![]);
        let product = self.node("Mul", &[x, &sum], vec![]);
        self.node("Mul", &[&product, &half], vec![])
    }

    pub(crate) fn layer_norm(&mut self, x: &str, name: &str) -> Result<Value, OnnxError> {
        let weight = self.own(&format!("{name}.weight"), [None])?;
        let bias = self.own(&format!("{name}.bias"), [None])?;
        let attributes = vec![int("axis", -1), float("epsilon", self.epsilon)];
        Ok(self.node("LayerNormalization", &[x, &weight, &bias], attributes))
    }

    /// An input of int64, `[batch, sequence]`.
    pub(crate) fn input(&mut self, name: &str) -> Value {
        self.add_field(11, &value_info(name, data_type::INT64, &["batch".into(), "sequence".into()]));
        name.to_owned()
    }

    /// Makes what the last node gives an output of f32 called `name`.
    pub(crate) fn output(&mut self, name: &str, dims: &[Length]) {
        let last = self.nodes.last_mut().expect("an output is some node's");
        last.outputs = vec![name.to_owned()];
        self.add_field(12, &value_info(name, data_type::FLOAT, dims));
    }
}

impl From<&'static str> for Length {
    fn from(name: &'static str) -> Self {
        Self::Dynamic(name)
    }
}

impl From<usize> for Length {
    fn from(length: usize) -> Self {
        Self::Known(length)
    }
}

/// `[rows, columns]` as `[columns, rows]`.
fn transposed<T: Copy>(values: &[T], columns: usize) -> Vec<T> {
    let rows = values.len() / columns;
    (0..values.len()).map(|i| values[i % rows * columns + i / rows]).collect()
}
