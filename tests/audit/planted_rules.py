"""An honest rule of a user's, and the same with one fault each."""

import torch


class Momentum:
    def meta(self):
        return {"step_size": torch.tensor(0.3), "momentum": torch.tensor(0.8)}

    def init(self, params):
        return {"velocity": torch.zeros_like(params)}

    def update(self, params, grads, state, meta):
        velocity = meta["momentum"] * state["velocity"] - meta["step_size"] * grads
        return params + velocity, {"velocity": velocity}


class DetachedState(Momentum):
    def update(self, params, grads, state, meta):
        return super().update(params, grads, {"velocity": state["velocity"].detach()}, meta)


class DetachedSometimes(Momentum):
    """Every fourth step, so that no single step shows it."""

    def init(self, params):
        return {"velocity": torch.zeros_like(params), "step": torch.zeros((), dtype=params.dtype)}

    def update(self, params, grads, state, meta):
        step = state["step"] + 1
        old = torch.where(step % 5 == 0, state["velocity"].detach(), state["velocity"])
        velocity = meta["momentum"] * old - meta["step_size"] * grads
        return params + velocity, {"velocity": velocity, "step": step}


class NumberInsteadOfTensor(Momentum):
    def update(self, params, grads, state, meta):
        return super().update(params, grads, state, {**meta, "momentum": meta["momentum"].item()})


class RootAtZero:
    """Adam as one writes it down, the square root of v bare."""

    def meta(self):
        return {"step_size": torch.tensor(0.1), "beta2": torch.tensor(0.99)}

    def init(self, params):
        return {"m": torch.zeros_like(params), "v": torch.zeros_like(params)}

    def update(self, params, grads, state, meta):
        m = 0.9 * state["m"] + 0.1 * grads
        v = meta["beta2"] * state["v"] + (1 - meta["beta2"]) * grads**2
        return params - meta["step_size"] * m / (v.sqrt() + 1e-8), {"m": m, "v": v}


class InPlace(Momentum):
    def update(self, params, grads, state, meta):
        state["velocity"].mul_(meta["momentum"]).sub_(meta["step_size"] * grads)
        return params + state["velocity"], state


class InPlaceLater(DetachedSometimes):
    """Pure for three steps."""

    def update(self, params, grads, state, meta):
        old = state["velocity"]
        velocity = old.mul_(1) if state["step"] >= 3 else old * 1
        velocity = meta["momentum"] * velocity - meta["step_size"] * grads
        return params + velocity, {"velocity": velocity, "step": state["step"] + 1}


class HiddenInPlaceLater(InPlaceLater):
    """Changes the iterate behind torch's back."""

    def update(self, params, grads, state, meta):
        if state["step"] < 3:
            return super().update(params, grads, state, meta)
        params.data.sub_(meta["step_size"] * grads)
        return params.clone(), {**state, "step": state["step"] + 1}


class OtherShapeLater(InPlaceLater):
    def update(self, params, grads, state, meta):
        if state["step"] < 3:
            return super().update(params, grads, state, meta)
        return params[None], state


class OtherStructure(Momentum):
    def update(self, params, grads, state, meta):
        params, state = super().update(params, grads, state, meta)
        return params, {"speed": state["velocity"]}


class MixedDtypes(Momentum):
    def init(self, params):
        return {"velocity": torch.zeros(params.shape, dtype=torch.float32)}


class Crashes(Momentum):
    def update(self, params, grads, state, meta):
        return params - meta["learning_rate"] * grads, state


class RemembersOutside(Momentum):
    def __init__(self):
        self.velocity = 0.0

    def init(self, params):
        return ()

    def update(self, params, grads, state, meta):
        self.velocity = meta["momentum"] * self.velocity - meta["step_size"] * grads
        return params + self.velocity, ()


class IgnoresMeta(Momentum):
    def update(self, params, grads, state, meta):
        return params - 0.1 * grads, state


class IntegerMeta(Momentum):
    def meta(self):
        return {"step_size": torch.tensor(1), "momentum": torch.tensor(0.8)}


class NoMeta:
    def init(self, params):
        return ()

    def update(self, params, grads, state, meta):
        return params - meta["step_size"] * grads, state


class Well:
    """A problem of the user's own, in float64 only."""

    def init(self, generator=None):
        return torch.tensor([1.0, -0.5], dtype=torch.float64)

    def loss(self, params, batch=None):
        return (torch.tensor([1.0, 2.0], dtype=torch.float64) * params**2).sum()


nothing = 3
