"""What a forecaster was trained on and what was chosen, in a few lines."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from throughtime.tasks.forecast.forecaster import Forecaster


def summarise(forecaster: "Forecaster") -> str:
    """The text of `Forecaster.summary`."""
    f = forecaster
    trained = f"best epoch {f.metrics_['best_epoch']} of {f.metrics_['epochs']}"
    if f.metrics_["validation_loss"] is not None:
        trained += f", validation loss {f.metrics_['validation_loss']:.5g}"
    lines = [
        f"data        {f.n_series_} series, {f.n_points_} points, step {f.frequency_.name}, "
        f"season of {f.season_length_}",
        f"windows     {f.n_windows_} to train on, {f.input_size_} steps in, {f.horizon} out",
        f"validation  {f.validation_}",
    ]
    design = f.design_
    if design is None:  # of a folder written before forecasts went over segments
        layers, hidden = f.num_layers, f.hidden_size
    else:
        layers, hidden = design.num_layers, design.hidden_size
        lines.append(f"reads       {_inputs(f)}")
    nets = len(f.model_.members)  # fewer than were asked for, where training was ended early
    several = f"{nets} nets of " if nets > 1 else ""
    lines.append(
        f"model       {several}{f.strategy} {f.cell}, {layers} x {hidden}, {f.n_parameters_} parameters; "
        f"scaling {f.scaler_.kind}{' of logarithms' * bool(f.scaler_.floor)}, anchor {f.anchor_}, loss {f.loss_}"
    )
    if f.recipe_:
        told = f.recipe_
        trained += f"; batches of {told['batch_size']}, rate {told['learning_rate']:g}, dropout {told['dropout']:g}"
        if told.get("rule_alone"):
            trained += "; what the net learnt is left out, being worth no more than chance"
        if f.refitted_:
            trained += "; trained again on everything for as long"
    lines.append(f"training    {trained}")
    lines.append(
        f"intervals   {f.calibration_.sentence if f.calibration_ else 'not calibrated: too few held-out origins'}"
    )
    return "\n".join(lines)


def _inputs(forecaster: "Forecaster") -> str:
    design, inputs = forecaster.design_, forecaster.inputs_
    assert design is not None
    assert inputs is not None
    steps = "single steps" if design.segment == 1 else f"segments of {design.segment}"
    beside = []
    if design.seasonal:
        beside.append("the change over a season")
    if design.missing:
        beside.append("what is missing")
    beside += inputs.calendar
    if inputs.holidays is not None:
        kinds = inputs.holidays.kinds
        beside.append(f"holidays of {len(kinds)} kinds" if len(kinds) > 1 else "holidays")
    if inputs.columns is not None:
        beside += [*inputs.columns.past_names, *inputs.columns.future_names, *inputs.columns.static_names]
    if inputs.ids:
        beside.append("which series it is")
    if design.linear:
        beside.append("a linear map of the history")
    return steps + (f", with {', '.join(beside)}" if beside else "")
