"""Time stamps: the clock, the calendar, and the step between one stamp and the next.

clock           time stamps as arrays, wall clock and UTC
frequency       the step between time stamps, and calendar arithmetic with it
inference       finding the step of a set of series
calendar        what the calendar says about stamps
holidays        holidays that somebody gives, and how many lie in each step
"""

__all__: list[str] = []
