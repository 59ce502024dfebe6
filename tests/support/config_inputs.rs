//! A config's inputs in memory. The crate's own tests, those beside it and the fuzz targets
//! include this file, each in a module that knows the trait.

use std::path::{Path, PathBuf};

use super::ConfigInputs;

type Names<'t> = Box<dyn Fn(&Path) -> Result<Vec<PathBuf>, String> + 't>;
type Texts<'t> = Box<dyn Fn(&Path) -> Result<String, String> + 't>;
type Variables<'t> = Box<dyn Fn(&str) -> Option<String> + 't>;

/// A config of this name and text; beside it nothing but what is added.
pub struct InMemory<'t> {
    name: PathBuf,
    text: String,
    /// Of every other file.
    beside: Texts<'t>,
    pub matching: Names<'t>,
    variables: Variables<'t>,
    host_name: String,
}

impl<'t> InMemory<'t> {
    pub fn new(name: &str, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
            beside: Box::new(|_| Err("there is no such file".into())),
            // A pattern names the file of that name, or nothing.
            matching: Box::new(|pattern| {
                let is_name = !pattern.to_string_lossy().contains('*');
                Ok(is_name.then(|| pattern.to_owned()).into_iter().collect())
            }),
            variables: Box::new(|_| None),
            host_name: "host".into(),
        }
    }

    /// What other files hold.
    pub fn beside(mut self, read: impl Fn(&Path) -> Result<String, String> + 't) -> Self {
        self.beside = Box::new(read);
        self
    }

    /// What the environment holds; the folder of credentials, too.
    pub fn variables(mut self, value: impl Fn(&str) -> Option<String> + 't) -> Self {
        self.variables = Box::new(value);
        self
    }

    pub fn host_name(mut self, name: &str) -> Self {
        self.host_name = name.into();
        self
    }
}

impl ConfigInputs for InMemory<'_> {
    fn read(&self, path: &Path) -> Result<String, String> {
        if path == self.name {
            return Ok(self.text.clone());
        }
        (self.beside)(path)
    }

    fn matching(&self, pattern: &Path) -> Result<Vec<PathBuf>, String> {
        (self.matching)(pattern)
    }

    fn environment(&self, name: &str) -> Option<String> {
        (self.variables)(name)
    }

    fn credentials(&self) -> Option<PathBuf> {
        (self.variables)("CREDENTIALS_DIRECTORY").map(PathBuf::from)
    }

    fn host_name(&self) -> String {
        self.host_name.clone()
    }
}
