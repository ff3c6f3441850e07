//! Protocol buffers as far as ONNX needs them: fields under their numbers in onnx.proto, IR version 8.
//!
//! A library would derive them from structs, with a macro that costs more to compile than this crate. It is proto2: lists of
//! integers are not packed, and some readers take no others. Source: github.com/onnx/onnx, onnx/onnx.proto;
//! protobuf.dev/programming-guides/encoding.

/// `TensorProto.DataType`
pub(crate) mod data_type {
    pub(crate) const FLOAT: i64 = 1;
    pub(crate) const INT8: i64 = 3;
    pub(crate) const INT64: i64 = 7;
}

/// `AttributeProto.AttributeType`
mod attribute_type {
    pub(super) const FLOAT: i64 = 1;
    pub(super) const INT: i64 = 2;
    pub(super) const TENSOR: i64 = 4;
    pub(super) const INTS: i64 = 7;
}

/// The bytes of a message, field by field. Chained calls make one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

/// How a field is written, beside its number.
#[derive(Clone, Copy)]
enum WireType {
    Varint = 0,
    Bytes = 2,
    FourBytes = 5,
}

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn key(&mut self, field: u32, wire_type: WireType) {
        self.varint(u64::from(field << 3 | wire_type as u32));
    }

    pub(crate) fn integer(mut self, field: u32, value: i64) -> Self {
        self.key(field, WireType::Varint);
        self.varint(value as u64);
        self
    }

    pub(crate) fn integers(self, field: u32, values: &[i64]) -> Self {
        values.iter().fold(self, |message, &value| message.integer(field, value))
    }

    pub(crate) fn float(mut self, field: u32, value: f32) -> Self {
        self.key(field, WireType::FourBytes);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    pub(crate) fn bytes(mut self, field: u32, bytes: &[u8]) -> Self {
        self.key(field, WireType::Bytes);
        self.varint(bytes.len() as u64);
        self.bytes.extend(bytes);
        self
    }

    pub(crate) fn text(self, field: u32, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub(crate) fn message(self, field: u32, message: &Self) -> Self {
        self.bytes(field, &message.bytes)
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// `ModelProto`: a graph and the version of its operators.
pub(crate) fn model(ir_version: i64, opset: i64, graph: &Message) -> Message {
    Message::default()
        .integer(1, ir_version)
        .text(2, "electra")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, graph)
        // The domain of ONNX's own operators is the empty one.
        .message(8, &Message::default().text(1, "").integer(2, opset))
}

/// `TensorProto`, with little-endian data.
pub(crate) fn tensor(name: &str, dims: &[i64], data_type: i64, data: &[u8]) -> Message {
    Message::default().integers(1, dims).integer(2, data_type).text(8, name).bytes(9, data)
}

/// `NodeProto`
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) op: String,
    pub(crate) name: String,
    pub(crate) inputs: Vec<String>,
    pub(crate) outputs: Vec<String>,
    pub(crate) attributes: Vec<Message>,
}

impl Node {
    pub(crate) fn to_message(&self) -> Message {
        let message = self.inputs.iter().fold(Message::default(), |message, input| message.text(1, input));
        let message = self.outputs.iter().fold(message, |message, output| message.text(2, output));
        let message = message.text(3, &self.name).text(4, &self.op);
        self.attributes.iter().fold(message, |message, attribute| message.message(5, attribute))
    }
}

/// `AttributeProto` of an integer.
pub(crate) fn int(name: &str, value: i64) -> Message {
    Message::default().text(1, name).integer(3, value).integer(20, attribute_type::INT)
}

/// `AttributeProto` of a list of integers.
pub(crate) fn ints(name: &str, values: &[i64]) -> Message {
    Message::default().text(1, name).integers(8, values).integer(20, attribute_type::INTS)
}

/// `AttributeProto` of a number.
pub(crate) fn float(name: &str, value: f32) -> Message {
    Message::default().text(1, name).float(2, value).integer(20, attribute_type::FLOAT)
}

/// `AttributeProto` of a tensor with one number.
pub(crate) fn tensor_of(name: &str, value: f32) -> Message {
    let tensor = tensor("", &[1], data_type::FLOAT, &value.to_le_bytes());
    Message::default().text(1, name).message(5, &tensor).integer(20, attribute_type::TENSOR)
}

/// Length of an axis.
pub(crate) enum Length {
    Known(usize),
    /// The name of a length that is known when the network is run.
    Dynamic(&'static str),
}

/// `ValueInfoProto`: name, type and shape of an input or output.
pub(crate) fn value_info(name: &str, data_type: i64, dims: &[Length]) -> Message {
    let shape = dims.iter().fold(Message::default(), |shape, length| {
        let dimension = match length {
            Length::Known(length) => Message::default().integer(1, *length as i64),
            Length::Dynamic(name) => Message::default().text(2, name),
        };
        shape.message(1, &dimension)
    });
    let tensor = Message::default().integer(1, data_type).message(2, &shape);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of protobuf.dev/programming-guides/encoding.
    #[test]
    fn fields_have_the_documented_bytes() {
        assert_eq!(Message::default().integer(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::default().text(2, "testing").into_bytes(), *b"\x12\x07testing");
        let inner = Message::default().integer(1, 150);
        assert_eq!(Message::default().message(3, &inner).into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let minus_two = Message::default().integer(1, -2).into_bytes();
        assert_eq!(minus_two, [0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        assert_eq!(Message::default().integer(20, 1).into_bytes(), [0xa0, 0x01, 0x01]);
    }
}
