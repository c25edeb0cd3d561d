/** SHA-256 of the library that `assembleLibrary` returns. A build with a different result fails and prints the actual hash. */
export const LIBRARY_SHA256 = '293d6c97990a857c7505f8651f2e4aa0e09c50272cf3040e3e2c5d8c38b77454';
