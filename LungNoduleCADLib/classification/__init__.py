"""What a nodule is: the encoder's heads, radiomics, the meta-classifier, and where the answer comes from."""
