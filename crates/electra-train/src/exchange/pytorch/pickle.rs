//! The part of Python's pickle format that a dictionary of tensors is written in.
//!
//! A pickle is a program: its opcodes make values on a stack, and some of them call functions by name. Here a call is known by
//! its name and made a value of ours, or it ends the reading: nothing of the file is executed, and nothing is looked up. Values lie in
//! one list and name each other by number, so that a value that is used a million times lies there once.
//!
//! Source: Python's `pickletools.py`; PyTorch's `torch/serialization.py` and `torch/_utils.py`.

use std::collections::HashMap;

/// Number of a value in the list.
type Id = usize;

/// A tensor as the pickle describes it; its numbers lie elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TensorView {
    /// Such as `FloatStorage`.
    pub(super) storage_type: String,
    /// Name of the storage.
    pub(super) storage: String,
    /// Numbers in the storage.
    pub(super) storage_len: usize,
    /// Of the first of its numbers in the storage.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// From one index to the next, in numbers.
    pub(super) strides: Vec<usize>,
}

#[derive(Debug, Clone)]
enum Value {
    Integer(i64),
    Text(String),
    Tuple(Vec<Id>),
    List,
    Dictionary(Vec<(Id, Id)>),
    /// A class or function by its name.
    Global(String),
    /// Type, name and numbers of a storage.
    Storage(String, String, usize),
    Tensor(TensorView),
    /// What no tensor is made of: None, truth values, fractions.
    Other,
}

/// Calls that are known, by what they give.
const DICTIONARY: &str = "collections OrderedDict";
const TENSOR: &str = "torch._utils _rebuild_tensor_v2";
const PARAMETER: &str = "torch._utils _rebuild_parameter";

struct Machine<'b> {
    bytes: &'b [u8],
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

/// Tensors of the dictionary that `bytes` describe, with their names, in its order.
///
/// # Errors
/// In words: the pickle is damaged, or asks for anything else.
pub(super) fn tensors(bytes: &[u8]) -> Result<Vec<(String, TensorView)>, String> {
    let mut machine = Machine { bytes, values: Vec::new(), stack: Vec::new(), marks: Vec::new(), memo: HashMap::new() };
    while machine.step()? {}
    let root = machine.pop()?;
    let Value::Dictionary(entries) = &machine.values[root] else {
        return Err("it is no dictionary of tensors, as save_pretrained writes it".to_owned());
    };
    let named = |(key, value): &(Id, Id)| match (&machine.values[*key], &machine.values[*value]) {
        (Value::Text(name), Value::Tensor(tensor)) => Some((name.clone(), tensor.clone())),
        _ => None,
    };
    Ok(entries.iter().filter_map(named).collect())
}

fn damaged<T>() -> Result<T, String> {
    Err("the list of tensors is damaged".to_owned())
}

impl<'b> Machine<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], String> {
        let Some((taken, rest)) = self.bytes.split_at_checked(count) else { return damaged() };
        self.bytes = rest;
        Ok(taken)
    }

    fn number(&mut self, count: usize) -> Result<u64, String> {
        Ok(self.take(count)?.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn text(&mut self, count: usize) -> Result<String, String> {
        Ok(String::from_utf8_lossy(self.take(count)?).into_owned())
    }

    fn line(&mut self) -> Result<String, String> {
        let Some(end) = self.bytes.iter().position(|&byte| byte == b'\n') else { return damaged() };
        let line = self.text(end)?;
        self.take(1)?;
        Ok(line)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return damaged();
        }
        Ok(self.stack.pop().expect("above the floor"))
    }

    /// All above the last mark.
    fn pop_to_mark(&mut self) -> Result<Vec<Id>, String> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height)),
            None => damaged(),
        }
    }

    fn tuple(&mut self, count: usize) -> Result<(), String> {
        let mut items = (0..count).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        self.push(Value::Tuple(items));
        Ok(())
    }

    fn remember(&mut self, key: u64) -> Result<(), String> {
        let Some(&top) = self.stack.last() else { return damaged() };
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), String> {
        let Some(&id) = self.memo.get(&key) else { return damaged() };
        self.stack.push(id);
        Ok(())
    }

    /// Adds keys and values in turn to the dictionary on top.
    fn add(&mut self, items: &[Id]) -> Result<(), String> {
        let Some(&top) = self.stack.last() else { return damaged() };
        match &mut self.values[top] {
            Value::Dictionary(entries) => {
                entries.extend(items.as_chunks::<2>().0.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            _ => damaged(),
        }
    }

    /// One opcode; whether there are more.
    fn step(&mut self) -> Result<bool, String> {
        let opcode = self.take(1)?[0];
        match opcode {
            // PROTO, FRAME
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'}' => self.push(Value::Dictionary(Vec::new())),
            b']' => self.push(Value::List),
            b')' => self.push(Value::Tuple(Vec::new())),
            // None, True, False, and a fraction
            b'N' | 0x88 | 0x89 => self.push(Value::Other),
            b'G' => {
                self.take(8)?;
                self.push(Value::Other);
            }
            b'K' | b'M' => {
                let value = self.number(if opcode == b'K' { 1 } else { 2 })?;
                self.push(Value::Integer(value as i64));
            }
            b'J' => {
                let value = self.number(4)? as u32 as i32;
                self.push(Value::Integer(i64::from(value)));
            }
            // LONG1: as many bytes as it says, the last with the sign.
            0x8a => {
                let count = self.number(1)? as usize;
                if count > 8 {
                    return Err("a number in the list of tensors is too large".to_owned());
                }
                let unused = 64 - 8 * count as u32;
                let value = self.number(count)?;
                self.push(Value::Integer(
                    (value.checked_shl(unused).unwrap_or(0) as i64).checked_shr(unused).unwrap_or(0),
                ));
            }
            b'X' | b'T' | 0x8c | b'U' => {
                let count = self.number(if matches!(opcode, b'X' | b'T') { 4 } else { 1 })?;
                let text = self.text(count as usize)?;
                self.push(Value::Text(text));
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items));
            }
            0x85..=0x87 => self.tuple(usize::from(opcode - 0x84))?,
            // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
            b'q' | b'r' => {
                let key = self.number(if opcode == b'q' { 1 } else { 4 })?;
                self.remember(key)?;
            }
            0x94 => self.remember(self.memo.len() as u64)?,
            b'h' | b'j' => {
                let key = self.number(if opcode == b'h' { 1 } else { 4 })?;
                self.recall(key)?;
            }
            b'c' => {
                let name = format!("{} {}", self.line()?, self.line()?);
                self.push(Value::Global(name));
            }
            // STACK_GLOBAL
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(name), Value::Text(module)) = (&self.values[name], &self.values[module]) else {
                    return damaged();
                };
                let name = format!("{module} {name}");
                self.push(Value::Global(name));
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.add(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.add(&items)?;
            }
            // APPEND, APPENDS: no list is a part of a tensor.
            b'a' => drop(self.pop()?),
            b'e' => drop(self.pop_to_mark()?),
            // BUILD: attributes of an object, such as the versions of modules.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(storage);
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.call(function, arguments)?;
            }
            b'.' => return Ok(false),
            other => return Err(format!("it does what no list of tensors does (opcode {other:#04x})")),
        }
        Ok(true)
    }

    fn items(&self, id: Id) -> &[Id] {
        match &self.values[id] {
            Value::Tuple(items) => items,
            _ => &[],
        }
    }

    fn length(&self, id: Id) -> Result<usize, String> {
        match &self.values[id] {
            Value::Integer(value) => usize::try_from(*value).or_else(|_| damaged()),
            _ => damaged(),
        }
    }

    fn lengths(&self, id: Id) -> Result<Vec<usize>, String> {
        self.items(id).iter().map(|&item| self.length(item)).collect()
    }

    /// `("storage", type, name, device, numbers)`
    fn storage(&self, id: Id) -> Result<Value, String> {
        let &[_, kind, name, _, len] = self.items(id) else { return damaged() };
        let (Value::Global(kind), Value::Text(name)) = (&self.values[kind], &self.values[name]) else {
            return damaged();
        };
        let kind = kind.strip_prefix("torch ").unwrap_or(kind);
        Ok(Value::Storage(kind.to_owned(), name.clone(), self.length(len)?))
    }

    fn call(&mut self, function: Id, arguments: Id) -> Result<(), String> {
        let Value::Global(name) = &self.values[function] else { return damaged() };
        let arguments = self.items(arguments);
        match (name.as_str(), arguments) {
            (DICTIONARY, []) => self.push(Value::Dictionary(Vec::new())),
            (TENSOR, &[storage, offset, shape, strides, ..]) => {
                let Value::Storage(kind, name, len) = &self.values[storage] else { return damaged() };
                let tensor = TensorView {
                    storage_type: kind.clone(),
                    storage: name.clone(),
                    storage_len: *len,
                    offset: self.length(offset)?,
                    shape: self.lengths(shape)?,
                    strides: self.lengths(strides)?,
                };
                if tensor.shape.len() != tensor.strides.len() {
                    return damaged();
                }
                self.push(Value::Tensor(tensor));
            }
            (PARAMETER, &[tensor, ..]) => self.stack.push(tensor),
            (name, _) => {
                let name = name.replacen(' ', ".", 1);
                return Err(format!("it asks for a call of {name}, and nothing in such a file is executed"));
            }
        }
        Ok(())
    }
}
