"""The report: one HTML page with its own plotly.js, made from the evaluation's objects alone.

Each module of plots turns evaluation objects into `Plot`s; `train_page` and `backtest_page` choose among them; `page`
writes the HTML. What the user's file says (sensor names, machines, file names) goes through `style.label`
into plots and is escaped by `page` everywhere else.
"""
