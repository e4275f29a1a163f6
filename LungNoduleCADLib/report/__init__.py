"""From findings to files: JSON, PDF, segmentation, saliency, and the folder that holds them."""
