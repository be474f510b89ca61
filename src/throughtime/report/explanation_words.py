"""What `explain` says of each cell in words, in English and in Chinese, its equations in the lecture notes' letters.

Ours are not here: they are read from the cell's own file, so that what is shown is what runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["LABELS", "WORDS", "Both", "Partial", "Words"]


class Both(NamedTuple):
    """One text in two languages."""

    en: str
    zh: str


class Partial(NamedTuple):
    """A line of the backward step."""

    at: str
    """What the code assigns there: a name of `step_backward` or of a function it calls, "function.name" to be exact."""
    ours: str
    notes: str


@dataclass(frozen=True)
class Words:
    """A cell's words."""

    title: Both
    what: Both
    notes: Mapping[str, str]
    """By the letter that our equation begins with: the notes' equation; what is not here, they do not have."""
    roles: Mapping[str, Both]
    backward: tuple[Partial, ...]
    remarks: tuple[Both, ...] = ()
    erratum: Both | None = None
    spots: Mapping[str, str] = field(default_factory=dict)
    """By the letter: where the code has it, as `Partial.at`, if not in an assignment to that letter."""


LABELS: Mapping[str, Both] = {
    "forward": Both("Forward: one time step", "前向传播：一个时间步"),
    "backward": Both("Backward: the partial derivatives, from dh′", "反向传播：从 dh′ 出发求偏导"),
    "parameters": Both("Parameters", "参数"),
    "shapes": Both("Shapes", "形状"),
    "erratum": Both("Erratum", "勘误"),
    "letter": Both("letter", "记号"),
    "role": Both("what it is", "含义"),
    "notes": Both("the notes", "讲义"),
    "ours": Both("here and in torch", "本库（与 torch 相同）"),
    "where": Both("runs at", "运行位置"),
    "code": Both("the line", "代码行"),
    "name": Both("parameter", "参数名"),
    "shape": Both("shape", "形状"),
    "numbers": Both("numbers", "个数"),
    "total": Both("together", "合计"),
    "layer": Both("layer", "层"),
    "cell": Both("cell", "单元"),
    "size": Both("input I = {I}, units H = {H}, gates G = {G}", "输入 I = {I}，隐藏单元 H = {H}，门 G = {G}"),
    "one_bias": Both(
        "torch has two biases, b_ih and b_hh, the notes one, their sum: {count:,} numbers there.",
        "torch 有 b_ih、b_hh 两个偏置，讲义只有一个，即二者之和，所以讲义的算法是 {count:,} 个。",
    ),
    "two_biases": Both(
        "The notes' one bias cannot stand for b_in and b_hn here, since r scales b_hn alone: "
        "{count:,} numbers with one bias are another cell.",
        "这里不能把 b_in 与 b_hn 合成讲义的一个偏置，因为 r 只缩放 b_hn；"
        "只留一个偏置（{count:,} 个数）就是另一种单元了。",
    ),
    "x": Both("input, one row an example", "输入，每行一个样本"),
    "state": Both("state, before the step and after it", "状态，本步之前与之后"),
    "gate": Both("every value of the step", "本步的各个量"),
    "source": Both("The equations are read from {module}; its Source: {source}", "公式读自 {module}；出处：{source}"),
    "kernels": Both(
        "A layer in training runs these equations fused, in C++ where a kernel has the cell; tests hold that to these "
        "lines.",
        "训练时，层用融合的 C++ 内核运行这些公式（没有内核的单元除外）；测试保证内核与这些代码行一致。",
    ),
    "unrolled": Both("Unrolled over four steps: forward blue, backward red", "展开四个时间步：蓝色为前向，红色为反向"),
}

_STATE_H = Both("the new state, which is also the output", "新的状态，也是输出")
_CANDIDATE = Both("candidate: what could be written into the memory", "候选值：可能写入记忆细胞的内容")
_NOTES_STACK = Both(
    "The notes stack both products into one, W [a_{t−1}, x_t] with W = [W_a, W_x]: the same numbers.",
    "讲义的简化公式把两个矩阵并排成一个：W [a_{t−1}, x_t]，其中 W = [W_a, W_x]。数值完全相同。",
)

_RNN = Words(
    title=Both("Recurrent neural network (RNN)", "循环神经网络（RNN）"),
    what=Both(
        "One state, rewritten at every step from the input and from itself, with the same weights each time.",
        "只有一个状态，每个时间步都由输入和上一步的状态重新算出，各步共用同一组权重。",
    ),
    notes={"a_h": "z_t = W_a [a_{t−1}, x_t] + b_a, W_a = [W_aa, W_ax]", "h'": "a_t = tanh(z_t)"},
    roles={
        "a_h": Both("pre-activation: input and old state, weighed and added", "激活前的值：输入与旧状态的加权和"),
        "h'": _STATE_H,
    },
    backward=(
        Partial("da", "da = dh′ ∗ (1 − h′²)", "dz_t = da_t ∗ (1 − a_t²)"),
        Partial("weight_ih", "dW_ih = daᵀ x", "dW_ax = dz_t x_tᵀ"),
        Partial("weight_hh", "dW_hh = daᵀ h", "dW_aa = dz_t a_{t−1}ᵀ"),
        Partial("bias_ih", "db_ih = db_hh = Σ_rows da", "db_a = Σ dz_t"),
        Partial("step_backward.dh", "dh = da W_hh", "da_{t−1} = W_aaᵀ dz_t"),
        Partial("step_backward.dx", "dx = da W_ih", "dx_t = W_axᵀ dz_t"),
    ),
    remarks=(
        Both(
            "dh = da W_hh is where gradients vanish and explode: k steps back, they have met W_hh and a slope k times.",
            "dh = da W_hh 正是梯度消失与梯度爆炸的根源：往回走 k 步，梯度就要乘 k 次 W_hh 和激活函数的斜率。",
        ),
        _NOTES_STACK,
    ),
)

_GRU_ROLES = {
    "r": Both("relevance (reset) gate: how much of the old state the candidate sees", "相关门：候选值能看到多少旧状态"),
    "z": Both("update gate, read the other way round: z = 1 keeps", "更新门，但含义相反：z = 1 表示保留"),
    "q": Both("what the old state brings to the candidate", "旧状态对候选值的贡献"),
    "n": _CANDIDATE,
    "h'": Both("the new state: a blend of the candidate and the old one", "新的状态：候选值与旧状态的加权平均"),
}
_GRU_NOTES = {
    "r": "Γ_r = σ(W_r [c_{t−1}, x_t] + b_r)",
    "z": "1 − Γ_u, Γ_u = σ(W_u [c_{t−1}, x_t] + b_u)",
    "n": "c̃_t = tanh(W_c [Γ_r ∗ c_{t−1}, x_t] + b_c)",
    "h'": "c_t = Γ_u ∗ c̃_t + (1 − Γ_u) ∗ c_{t−1}, a_t = c_t",
}
_GRU_ERRATUM = Both(
    "The notes' figure prints the last line as c_t = Γ_u ∗ c̃_t + (1 − Γ_u) + c_{t−1}. Right is ∗ c_{t−1}, as their "
    "text has it. The printed form adds (1 − Γ_u) ≥ 0 at every step and forgets nothing: the state grows for ever.",
    "讲义插图把最后一行印成了 c_t = Γ_u ∗ c̃_t + (1 − Γ_u) + c_{t−1}。正确的是 ∗ c_{t−1}，讲义正文也是这样写的。"
    "按印错的公式，每一步都要加上非负的 (1 − Γ_u)，又什么都不忘，状态会无限增长。",
)
_GRU_SENSE = Both(
    "Γ_u = 1 − z: in the notes 1 means update, in torch, Keras and ONNX z = 1 means keep. Since 1 − σ(v) = σ(−v), the "
    "notes' gate has the same weights with the other sign.",
    "Γ_u = 1 − z：讲义里 1 表示更新，而在 torch、Keras 和 ONNX 里 z = 1 表示保留。由于 1 − σ(v) = σ(−v)，"
    "两者的权重只差一个负号。",
)
_GRU = Words(
    title=Both("Gated recurrent unit (GRU), reset after the product", "门控循环单元（GRU），先乘矩阵后重置"),
    what=Both(
        "The form of torch.nn and cuDNN. It differs from the notes' in the candidate, and computes other numbers.",
        "torch.nn 和 cuDNN 采用的形式。与讲义的形式只差候选值一行，但算出的数不同。",
    ),
    notes={key: value for key, value in _GRU_NOTES.items() if key != "n"},
    roles=_GRU_ROLES,
    backward=(
        Partial("dz", "dz = dh′ ∗ (h − n), da_z = dz ∗ z ∗ (1 − z)", "dγ_u = dc_t ∗ (c̃_t − c_{t−1}) ∗ Γ_u ∗ (1 − Γ_u)"),
        Partial("da_n", "da_n = dh′ ∗ (1 − z) ∗ (1 − n²)", "dγ_c = dc_t ∗ Γ_u ∗ (1 − c̃_t²)"),
        Partial("dr", "dr = da_n ∗ q, da_r = dr ∗ r ∗ (1 − r)", ""),
        Partial("dq", "dq = da_n ∗ r", ""),
        Partial("step_backward.dh", "dh = [da_r, da_z, dq] W_hh + dh′ ∗ z", ""),
        Partial("step_backward.dx", "dx = [da_r, da_z, da_n] W_ih", ""),
        Partial("weight_ih", "dW_ih = [da_r, da_z, da_n]ᵀ x", ""),
        Partial("weight_hh", "dW_hh = [da_r, da_z, dq]ᵀ h", ""),
    ),
    remarks=(
        _GRU_SENSE,
        Both(
            "The notes' form is gru-reset-before: there r scales the state before the product with W_hn.",
            "讲义的形式是 gru-reset-before：r 先乘在状态上，再与 W_hn 相乘。",
        ),
    ),
    erratum=_GRU_ERRATUM,
)
_GRU_BEFORE = Words(
    title=Both(
        "Gated recurrent unit (GRU), reset before the product: the notes' form",
        "门控循环单元（GRU），讲义的形式：先重置后乘矩阵",
    ),
    what=Both(
        "One memory cell and two gates: how much is new, and how much of the old the candidate may see.",
        "一个记忆细胞、两个门：更新门决定写入多少新内容，相关门决定候选值能看到多少旧内容。",
    ),
    notes=_GRU_NOTES,
    roles=_GRU_ROLES,
    backward=(
        Partial("dz", "dz = dh′ ∗ (h − n), da_z = dz ∗ z ∗ (1 − z)", "dγ_u = dc_t ∗ (c̃_t − c_{t−1}) ∗ Γ_u ∗ (1 − Γ_u)"),
        Partial("da_n", "da_n = dh′ ∗ (1 − z) ∗ (1 − n²)", "dγ_c = dc_t ∗ Γ_u ∗ (1 − c̃_t²)"),
        Partial("drh", "d(r ∗ h) = da_n W_hn", "d(Γ_r ∗ c_{t−1}) = W_ccᵀ dγ_c"),
        Partial("da_r", "da_r = d(r ∗ h) ∗ h ∗ r ∗ (1 − r)", "dγ_r = d(Γ_r ∗ c_{t−1}) ∗ c_{t−1} ∗ Γ_r ∗ (1 − Γ_r)"),
        Partial(
            "dstate",
            "dh = dh′ ∗ z + d(r ∗ h) ∗ r + da_r W_hr + da_z W_hz",
            "dc_{t−1} = dc_t ∗ (1 − Γ_u) + d(Γ_r ∗ c_{t−1}) ∗ Γ_r + W_rcᵀ dγ_r + W_ucᵀ dγ_u",
        ),
        Partial("dx", "dx = [da_r, da_z, da_n] W_ih", "dx_t = W_rxᵀ dγ_r + W_uxᵀ dγ_u + W_cxᵀ dγ_c"),
        Partial("weight_ih", "dW_ih = [da_r, da_z, da_n]ᵀ x", "dW_kx = dγ_k x_tᵀ"),
        Partial(
            "weight_hh",
            "dW_hr, dW_hz = [da_r, da_z]ᵀ h, dW_hn = da_nᵀ (r ∗ h)",
            "dW_kc = dγ_k c_{t−1}ᵀ, dW_cc = dγ_c (Γ_r ∗ c_{t−1})ᵀ",
        ),
    ),
    remarks=(
        _GRU_SENSE,
        Both("The notes' first, simplified GRU is this one with Γ_r = 1.", "讲义先讲的简化 GRU 就是令 Γ_r = 1。"),
    ),
    erratum=_GRU_ERRATUM,
)

_LSTM_ROLES = {
    "i": Both("update (input) gate: how much of the candidate enters", "更新门（输入门）：候选值写入多少"),
    "f": Both("forget gate: how much of the old cell stays", "遗忘门：旧的记忆保留多少"),
    "g": _CANDIDATE,
    "o": Both("output gate: how much of the cell is shown", "输出门：记忆细胞露出多少"),
    "c'": Both("the new memory cell", "新的记忆细胞"),
    "h'": Both("the new state, which is also the output", "新的隐藏状态，也是输出"),
}
_LSTM_NOTES = {
    "i": "Γ_u = σ(W_u [a_{t−1}, x_t] + b_u)",
    "f": "Γ_f = σ(W_f [a_{t−1}, x_t] + b_f)",
    "g": "c̃_t = tanh(W_c [a_{t−1}, x_t] + b_c)",
    "o": "Γ_o = σ(W_o [a_{t−1}, x_t] + b_o)",
    "c'": "c_t = Γ_u ∗ c̃_t + Γ_f ∗ c_{t−1}",
    "h'": "a_t = Γ_o ∗ tanh(c_t)",
}
_DELTA = Partial(
    "output_backward.dc_new", "δ = dc′ + dh′ ∗ o ∗ (1 − tanh²c′)", "δ = dc_t + da_t ∗ Γ_o ∗ (1 − tanh²c_t)"
)
_LSTM_GATES = (
    Partial("do", "da_o = dh′ ∗ tanh(c′) ∗ o ∗ (1 − o)", "dγ_o = da_t ∗ tanh(c_t) ∗ Γ_o ∗ (1 − Γ_o)"),
    Partial("di", "da_i = δ ∗ g ∗ i ∗ (1 − i)", "dγ_u = δ ∗ c̃_t ∗ Γ_u ∗ (1 − Γ_u)"),
    Partial("df", "da_f = δ ∗ c ∗ f ∗ (1 − f)", "dγ_f = δ ∗ c_{t−1} ∗ Γ_f ∗ (1 − Γ_f)"),
    Partial("dg", "da_g = δ ∗ i ∗ (1 − g²)", "dγ_c = δ ∗ Γ_u ∗ (1 − c̃_t²)"),
)
_LSTM_CELL = Partial("update_backward.dc", "dc = δ ∗ f", "dc_{t−1} = δ ∗ Γ_f")
_LSTM_WEIGHTS = (
    Partial("step_backward.da", "da = [da_i, da_f, da_g, da_o]", "dγ_k, k ∈ {u, f, c, o}"),
    Partial("weight_ih", "dW_ih = daᵀ x", "dW_kx = dγ_k x_tᵀ"),
    Partial("weight_hh", "dW_hh = daᵀ h", "dW_ka = dγ_k a_{t−1}ᵀ"),
    Partial("bias_ih", "db_ih = db_hh = Σ_rows da", "db_k = Σ dγ_k"),
    Partial("step_backward.dh", "dh = da W_hh", "da_{t−1} = Σ_k W_kaᵀ dγ_k"),
    Partial("step_backward.dx", "dx = da W_ih", "dx_t = Σ_k W_kxᵀ dγ_k"),
)
_LASTS = Both(
    "dc = δ ∗ f is why gradients last: with f near 1 nothing shrinks them on their way back through the cell.",
    "dc = δ ∗ f 说明了梯度为什么传得远：f 接近 1 时，梯度沿记忆细胞往回走几乎不衰减。",
)
_LSTM = Words(
    title=Both("Long short-term memory (LSTM)", "长短期记忆（LSTM）"),
    what=Both(
        "A memory cell c beside the state h, and three gates: what enters, what stays, what is shown.",
        "在状态 h 之外还有记忆细胞 c，由三个门控制：写入多少、保留多少、输出多少。",
    ),
    notes=_LSTM_NOTES,
    roles=_LSTM_ROLES,
    backward=(_DELTA, *_LSTM_GATES, _LSTM_CELL, *_LSTM_WEIGHTS),
    remarks=(
        _LASTS,
        Both(
            "Here Γ_u = i has torch's sense, unlike the GRU's; i and f are two gates, so a cell may keep and add.",
            "与 GRU 不同，这里 Γ_u = i 的含义与 torch 一致；i 与 f 是两个门，所以可以一边保留一边写入。",
        ),
    ),
)
_PEEP_ROLES = _LSTM_ROLES
_PEEP_REMARK = Both(
    "p_i, p_f and p_o are diagonals, H numbers each: the 50th element of a 100-dimensional cell moves only the 50th "
    "element of each gate.",
    "p_i、p_f、p_o 都是对角的，各有 H 个数：100 维记忆细胞的第 50 个元素只影响各个门的第 50 个元素。",
)
_PEEP_NOTES = {
    **_LSTM_NOTES,
    "i": "Γ_u = σ(W_u [c_{t−1}, a_{t−1}, x_t] + b_u)",
    "f": "Γ_f = σ(W_f [c_{t−1}, a_{t−1}, x_t] + b_f)",
}
_PEEPHOLE = Words(
    title=Both("Peephole LSTM, the output gate sees the new cell", "窥视孔 LSTM，输出门看新的记忆细胞"),
    what=Both(
        "An LSTM whose gates also see the cell: i and f the previous one, o the new one (Gers; ONNX's P).",
        "各个门还能看到记忆细胞的 LSTM（窥视孔连接）：i、f 看上一步的 c，o 看新的 c′（Gers 的形式，即 ONNX 的 P）。",
    ),
    notes={key: value for key, value in _PEEP_NOTES.items() if key != "o"},
    roles=_PEEP_ROLES,
    backward=(
        *_LSTM_GATES[:1],
        Partial("step_backward.dc_new", "δ = dc′ + dh′ ∗ o ∗ (1 − tanh²c′) + da_o ∗ p_o", ""),
        *_LSTM_GATES[1:],
        Partial("step_backward.dc", "dc = δ ∗ f + da_i ∗ p_i + da_f ∗ p_f", ""),
        Partial("dp", "dp_i = Σ_rows da_i ∗ c, dp_f = Σ_rows da_f ∗ c, dp_o = Σ_rows da_o ∗ c′", ""),
        *_LSTM_WEIGHTS,
    ),
    remarks=(
        _PEEP_REMARK,
        Both(
            "The notes' form is previous-peephole-lstm, where o sees c_{t−1} too.",
            "讲义的形式是 previous-peephole-lstm：o 看的也是 c_{t−1}。",
        ),
    ),
)
_PREVIOUS = Words(
    title=Both(
        "Peephole LSTM, all gates see the previous cell: the notes' form",
        "窥视孔 LSTM，讲义的形式：各个门都看上一步的记忆细胞",
    ),
    what=Both(
        "An LSTM whose gates i, f and o all see the previous cell c_{t−1} beside the input and the state.",
        "除输入和状态外，i、f、o 三个门都能看到上一步记忆细胞 c_{t−1} 的 LSTM（窥视孔连接）。",
    ),
    notes={**_PEEP_NOTES, "o": "Γ_o = σ(W_o [c_{t−1}, a_{t−1}, x_t] + b_o)"},
    roles=_PEEP_ROLES,
    backward=(
        _DELTA,
        *_LSTM_GATES,
        Partial(
            "step_backward.dc",
            "dc = δ ∗ f + da_i ∗ p_i + da_f ∗ p_f + da_o ∗ p_o",
            "dc_{t−1} = δ ∗ Γ_f + Σ_k p_k ∗ dγ_k, k ∈ {u, f, o}",
        ),
        Partial(
            "dp", "dp_i, dp_f, dp_o = Σ_rows da_i ∗ c, Σ_rows da_f ∗ c, Σ_rows da_o ∗ c", "dp_k = Σ dγ_k ∗ c_{t−1}"
        ),
        *_LSTM_WEIGHTS,
    ),
    remarks=(
        _PEEP_REMARK,
        Both(
            "The notes write c into the stack [c_{t−1}, a_{t−1}, x_t]; the block of W that meets c is diagonal.",
            "讲义把 c 也并入 [c_{t−1}, a_{t−1}, x_t]；W 中与 c 相乘的那一块是对角矩阵。",
        ),
    ),
)

_NORM_REMARK = Both(
    "The notes do not have layer normalisation; their equations hold with LN(W_ih x) + LN(W_hh h) in the place of the "
    "products.",
    "讲义没有讲层归一化；把两个乘积换成 LN(W_ih x) + LN(W_hh h)，其余公式不变。",
)
_NORM_ROLES = {
    "a_x": Both("the input's share of the pre-activations, normalised", "输入一侧的激活前值，已归一化"),
    "a_h": Both("the state's share, normalised", "状态一侧的激活前值，已归一化"),
    "LN": Both(
        "a row's values brought to mean 0 and variance 1, then scaled by γ", "把一行的值归一化到均值 0、方差 1，再乘 γ"
    ),
}
_NORM_BACKWARD = (
    Partial("unit", "LN(a) = γ ∗ unit, unit = (a − μ) ∗ scale", ""),
    Partial("normalize_backward.da", "da = scale ∗ (d_unit − mean(d_unit) − unit ∗ mean(d_unit ∗ unit))", ""),
)
_NORM_SPOTS = {"LN": "normalize.return", "a_x": "affine.return", "a_h": "affine.return"}
_NORM_WHAT = Both(
    "The cell with both of its products normalised over the row: steadier training, more arithmetic.",
    "两个乘积都按行做层归一化：训练更稳定，计算量更大。",
)
_LN_RNN = Words(
    title=Both("RNN with layer normalisation", "带层归一化的循环神经网络"),
    what=_NORM_WHAT, notes={}, roles={**_RNN.roles, **_NORM_ROLES},
    backward=(Partial("da", "da = dh′ ∗ (1 − h′²)", ""), *_NORM_BACKWARD),
    remarks=(_NORM_REMARK,), spots=_NORM_SPOTS,
)  # fmt: skip
_LN_GRU = Words(
    title=Both("GRU with layer normalisation", "带层归一化的门控循环单元"),
    what=_NORM_WHAT, notes={}, roles={**_NORM_ROLES, **_GRU_ROLES},
    backward=(
        Partial("dz", "dz = dh′ ∗ (h − n), da_z = dz ∗ z ∗ (1 − z)", ""),
        Partial("da_n", "da_n = dh′ ∗ (1 − z) ∗ (1 − n²)", ""),
        Partial("da_r", "da_r = da_n ∗ q ∗ r ∗ (1 − r)", ""),
        *_NORM_BACKWARD,
    ),
    remarks=(_NORM_REMARK, _GRU_SENSE),
    spots={**_NORM_SPOTS, "r": "gates.r", "z": "gates.return", "n": "gates.return"},
)  # fmt: skip
_LN_LSTM = Words(
    title=Both("LSTM with layer normalisation", "带层归一化的长短期记忆"),
    what=_NORM_WHAT, notes={}, roles={**_NORM_ROLES, **_LSTM_ROLES},
    backward=(
        Partial("step_backward.da_o", "da_o = dh′ ∗ tanh(LN(c′) + β_c) ∗ o ∗ (1 − o)", ""),
        *_LSTM_GATES[1:], _LSTM_CELL, *_NORM_BACKWARD,
    ),
    remarks=(_NORM_REMARK, _LASTS), spots={**_NORM_SPOTS, "i": "gates.return"},
)  # fmt: skip

WORDS: Mapping[str, Words] = {
    "rnn": _RNN,
    "gru": _GRU,
    "gru-reset-before": _GRU_BEFORE,
    "lstm": _LSTM,
    "peephole-lstm": _PEEPHOLE,
    "previous-peephole-lstm": _PREVIOUS,
    "layer-norm-rnn": _LN_RNN,
    "layer-norm-gru": _LN_GRU,
    "layer-norm-lstm": _LN_LSTM,
}
"""By the names that the command line takes."""
