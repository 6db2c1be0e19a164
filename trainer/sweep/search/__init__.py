"""Searches: Optuna proposes what to try next. Nothing else imports Optuna, which takes a second."""
