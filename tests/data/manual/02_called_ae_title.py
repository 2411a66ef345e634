assoc = ae.associate('127.0.0.1', 11112, ae_title=b'STORE_SCP')
