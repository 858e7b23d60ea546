"""What runs are told to besides their records: TensorBoard, MLflow, Weights & Biases."""
