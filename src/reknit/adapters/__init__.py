FOLDER = "adapter"
"""Where an adapter lies beside the model that it was trained on. Said here, so that loading a model without one imports
none of the adapters."""
