//! A graph that grows node by node: values are the names of what a node gives.

use std::collections::{HashMap, HashSet};

use crate::proto::{
    Attribute, Dimension, DimensionValue, Graph, Node, Shape, Tensor as TensorMessage, TensorType, Type, ValueInfo,
    attribute_type, data_type,
};
use crate::{OnnxError, Precision, Tensor, Tensors, quantize};

/// Name of a node's result, of an input or of a constant.
pub(crate) type Value = String;

pub(crate) struct GraphBuilder<'a> {
    tensors: Tensors<'a>,
    pub(crate) precision: Precision,
    epsilon: f32,
    graph: Graph,
    /// Constants that are in the graph.
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
            graph: Graph::default(),
            constants: HashSet::new(),
            quantized: HashMap::new(),
        }
    }

    pub(crate) fn finish(mut self, name: &str) -> Graph {
        self.graph.name = name.to_owned();
        self.graph
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
    pub(crate) fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<Attribute>) -> Value {
        let [value] = self.node_of(op, inputs, attributes);
        value
    }

    fn node_of<const N: usize>(&mut self, op: &str, inputs: &[&str], attribute: Vec<Attribute>) -> [Value; N] {
        let name = format!("{op}_{}", self.graph.node.len());
        let outputs: [Value; N] =
            std::array::from_fn(|i| if N == 1 { format!("{name}_output") } else { format!("{name}_output_{i}") });
        self.graph.node.push(Node {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: outputs.to_vec(),
            name,
            op_type: op.to_owned(),
            attribute,
        });
        outputs
    }

    fn put(&mut self, name: String, dims: &[usize], data_type: i32, bytes: impl FnOnce() -> Vec<u8>) -> Value {
        if self.constants.insert(name.clone()) {
            let dims = dims.iter().map(|&length| length as i64).collect();
            self.graph.initializer.push(TensorMessage { dims, data_type, name: name.clone(), raw_data: bytes() });
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
        let product = self.node("Cast", &[&product], vec![int("to", i64::from(data_type::FLOAT))]);
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
        self.node("Cast", &[x], vec![int("to", i64::from(data_type::FLOAT))])
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
        self.graph.input.push(value_info(name, data_type::INT64, &["batch".into(), "sequence".into()]));
        name.to_owned()
    }

    /// Makes what the last node gives an output of f32 called `name`.
    pub(crate) fn output(&mut self, name: &str, dims: &[Length]) {
        let last = self.graph.node.last_mut().expect("an output is some node's");
        last.output = vec![name.to_owned()];
        self.graph.output.push(value_info(name, data_type::FLOAT, dims));
    }
}

/// Length of an axis.
pub(crate) enum Length {
    Known(usize),
    Dynamic(&'static str),
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

fn value_info(name: &str, elem_type: i32, dims: &[Length]) -> ValueInfo {
    let dimension = |length: &Length| Dimension {
        value: Some(match length {
            Length::Known(length) => DimensionValue::Known(*length as i64),
            Length::Dynamic(name) => DimensionValue::Dynamic((*name).to_owned()),
        }),
    };
    let shape = Some(Shape { dim: dims.iter().map(dimension).collect() });
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type: Some(TensorType { elem_type, shape }) }) }
}

/// `[rows, columns]` as `[columns, rows]`.
fn transposed<T: Copy>(values: &[T], columns: usize) -> Vec<T> {
    let rows = values.len() / columns;
    (0..values.len()).map(|i| values[i % rows * columns + i / rows]).collect()
}

pub(crate) fn int(name: &str, i: i64) -> Attribute {
    Attribute { name: name.to_owned(), i, r#type: attribute_type::INT, ..Attribute::default() }
}

pub(crate) fn ints(name: &str, ints: &[i64]) -> Attribute {
    Attribute { name: name.to_owned(), ints: ints.to_vec(), r#type: attribute_type::INTS, ..Attribute::default() }
}

fn float(name: &str, f: f32) -> Attribute {
    Attribute { name: name.to_owned(), f, r#type: attribute_type::FLOAT, ..Attribute::default() }
}

/// A tensor of one f32.
pub(crate) fn tensor_of(name: &str, value: f32) -> Attribute {
    let tensor = TensorMessage {
        dims: vec![1],
        data_type: data_type::FLOAT,
        name: String::new(),
        raw_data: value.to_le_bytes().to_vec(),
    };
    Attribute { name: name.to_owned(), t: Some(tensor), r#type: attribute_type::TENSOR, ..Attribute::default() }
}
