"""What users really run, as generators: diffusers pipelines, hosted services, folders of images made elsewhere."""
