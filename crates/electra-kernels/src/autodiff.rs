//! Operations of our own as nodes of Burn's graph, on whatever backend.
//!
//! An operation brings its forward body, which says what to keep, and its backward body; [`fused`] does the rest. The
//! custom backward is registered straight on the autodiff backend that a device has, without the dispatch that Burn's
//! `backend_extension` would generate.

use std::fmt::Debug;

use burn::backend::autodiff::{
    checkpoint::{base::Checkpointer, strategy::NoCheckpointing},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::{Autodiff, Backend, DispatchDevice, tensor::FloatTensor};
use burn::tensor::{DType, GradientCheckpointingStrategy, Tensor};

/// The backend that differentiates `B`.
pub(crate) type Differentiable<B> = Autodiff<B, NoCheckpointing>;

/// Whether a tensor of f32 lies on a device for which `is` holds, with or without a graph around it.
pub(crate) fn is_f32_on<const D: usize>(tensor: &Tensor<D>, is: fn(&DispatchDevice) -> bool) -> bool {
    let device = tensor.device();
    let lies_there = match device.as_dispatch() {
        DispatchDevice::Autodiff(device) => {
            // Recomputing instead of keeping is the graph's business, node by node: primitives know how.
            let keeps = device.gradient_checkpointing_strategy() == GradientCheckpointingStrategy::Disabled;
            keeps && is(device)
        }
        device => is(device),
    };
    lies_there && tensor.dtype() == DType::F32
}

/// A tensor that can be made to have its values side by side.
pub(crate) trait Dense {
    fn dense(self) -> Self;
}

/// A tensor of a backend, with or without a place in a graph.
pub(crate) enum Operand<B: Backend> {
    Plain(FloatTensor<B>),
    Tracked(FloatTensor<Differentiable<B>>),
}

macro_rules! into_tensor {
    ($backend:ty) => {
        impl Operand<$backend> {
            /// The tensor back again.
            pub(crate) fn into_tensor<const D: usize>(self) -> Tensor<D> {
                match self {
                    Self::Plain(tensor) => Tensor::from_primitive::<$backend>(tensor),
                    Self::Tracked(tensor) => Tensor::from_primitive::<Differentiable<$backend>>(tensor),
                }
            }
        }
    };
}
into_tensor!(burn::backend::Flex);
into_tensor!(burn_wgpu::CubeBackend);

/// What an operation's backward pass is: from what the forward pass kept, the gradient of the result and which
/// operands want a gradient, to the operands' gradients.
pub(crate) type BackwardBody<B, Kept, const N: usize> =
    fn(Kept, FloatTensor<B>, [bool; N]) -> [Option<FloatTensor<B>>; N];

/// Runs an operation and, where an operand is tracked, puts it into the graph.
///
/// `forward` gets the operands' values, dense, and whether a backward pass may come; it returns the result, what
/// `backward` needs, and anything that takes no gradient.
pub(crate) fn fused<B, const N: usize, Kept, Extra>(
    operands: [Operand<B>; N],
    forward: impl FnOnce([FloatTensor<B>; N], bool) -> (FloatTensor<B>, Kept, Extra),
    backward: BackwardBody<B, Kept, N>,
) -> (Operand<B>, Extra)
where
    B: Backend,
    FloatTensor<B>: Dense,
    Kept: Clone + Send + Debug + 'static,
{
    if operands.iter().all(|operand| matches!(operand, Operand::Plain(_))) {
        let operands = operands.map(|operand| match operand {
            Operand::Plain(tensor) => tensor.dense(),
            Operand::Tracked(_) => unreachable!("all are plain"),
        });
        let (output, _, extra) = forward(operands, false);
        return (Operand::Plain(output), extra);
    }
    let operands = operands.map(|operand| match operand {
        Operand::Tracked(tensor) => tensor,
        Operand::Plain(tensor) => <FloatTensor<Differentiable<B>>>::new(tensor),
    });
    let nodes = operands.each_ref().map(|operand| operand.node());
    let operands = operands.map(|operand| operand.into_primitive().dense());
    match (Step::<B, Kept, N> { backward }).prepare::<NoCheckpointing>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(step) => {
            let (output, kept, extra) = forward(operands, true);
            (Operand::Tracked(step.finish(kept, output)), extra)
        }
        OpsKind::UnTracked(step) => {
            let (output, _, extra) = forward(operands, false);
            (Operand::Tracked(step.finish(output)), extra)
        }
    }
}

struct Step<B: Backend, Kept, const N: usize> {
    backward: BackwardBody<B, Kept, N>,
}

// By hand: derived, it would ask for a B that can be printed.
impl<B: Backend, Kept, const N: usize> Debug for Step<B, Kept, N> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Step").field("operands", &N).finish_non_exhaustive()
    }
}

impl<B, Kept, const N: usize> Backward<B, N> for Step<B, Kept, N>
where
    B: Backend,
    FloatTensor<B>: Dense,
    Kept: Clone + Send + Debug + 'static,
{
    type State = Kept;

    fn backward(self, ops: Ops<Kept, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node).dense();
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let found = (self.backward)(ops.state, gradient, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<B>(parent.id, gradient);
            }
        }
    }
}
